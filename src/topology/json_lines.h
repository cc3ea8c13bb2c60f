// Where in a JSON text something stands, for error messages.
// Threading: pure functions.
#pragma once

#include <cstddef>
#include <string_view>

namespace tutti {

// The line, from 1, of the byte at `offset`.
size_t line_of_byte(std::string_view text, size_t offset);

// The line of element `index` of the array that the top-level object of a valid text has under `key`; 0: there is none.
size_t line_of_element(std::string_view text, std::string_view key, size_t index);

}  // namespace tutti
