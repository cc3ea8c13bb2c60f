#include "base/status.h"

#include <system_error>

namespace tutti {

Status system_error(const std::string& what, int error_number) {
  return {Code::kSystem, "cannot " + what + ": " + std::generic_category().message(error_number)};
}

}  // namespace tutti
