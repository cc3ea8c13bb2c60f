// Which sources this library was built from, so that ranks of different builds are told so instead of misunderstanding each other.
// Threading: any thread.
#pragma once

#include <string>

namespace tutti {

std::string library_version();  // "0.1.0"

// A hash of all sources of the library (cmake/TuttiBuildId.cmake): equal for equal sources, whatever the compiler and the options, which do
// not change what ranks say to each other.
std::string build_id();

}  // namespace tutti
