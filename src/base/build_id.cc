#include "base/build_id.h"

#include "tutti/tutti.h"
#include "tutti_build_id.h"  // generated

namespace tutti {

std::string library_version() {
  return std::to_string(TUTTI_MAJOR) + "." + std::to_string(TUTTI_MINOR) + "." + std::to_string(TUTTI_PATCH);
}

std::string build_id() {
  return TUTTI_BUILD_ID;
}

}  // namespace tutti
