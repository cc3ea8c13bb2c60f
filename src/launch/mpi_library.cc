#include "launch/mpi_library.h"

#include <link.h>

#include <string_view>

namespace tutti {

bool mpi_library_loaded() {
  const auto visit = [](dl_phdr_info* info, size_t, void*) {
    const std::string_view path = info->dlpi_name == nullptr ? "" : info->dlpi_name;
    const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
    return name.starts_with("libmpi.") || name.starts_with("libmpich") || name.starts_with("libmpi_") || name.starts_with("libpmpi") ? 1
                                                                                                                                     : 0;
  };
  return dl_iterate_phdr(visit, nullptr) != 0;
}

}  // namespace tutti
