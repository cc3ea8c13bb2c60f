#include "topology/sysfs.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace tutti::sysfs {

namespace {

namespace fs = std::filesystem;

bool is_pci_address(const std::string& name) {
  const std::string shape = "xxxx:xx:xx.x";  // domains above ffff (Hyper-V, VMD) have more digits in front
  if (name.size() < shape.size()) return false;
  const size_t extra = name.size() - shape.size();
  for (size_t i = 0; i < name.size(); ++i) {
    const char want = i < extra ? 'x' : shape[i - extra];
    if (want == 'x' ? std::isxdigit(static_cast<unsigned char>(name[i])) == 0 : name[i] != want) return false;
  }
  return true;
}

// Of one lane, in 10^9 bytes/s: the raw rate less the line code (8b/10b, 128b/130b, and the flits of PCIe 6).
double lane_GBps(double gigatransfers) {
  const double efficiency = gigatransfers <= 5 ? 0.8 : gigatransfers <= 32 ? 128.0 / 130.0 : 242.0 / 256.0;
  return gigatransfers * efficiency / 8;
}

}  // namespace

std::string read_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  // An interface that is down answers reads of `speed` with EINVAL: the stream is then bad and the line empty.
  std::getline(file, line);
  return line;
}

std::optional<double> read_number(const std::string& path) {
  const std::string line = read_line(path);
  char* end = nullptr;
  const double number = std::strtod(line.c_str(), &end);
  if (end == line.c_str()) return std::nullopt;
  return number;
}

std::vector<std::string> list(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool exists(const std::string& path) {
  std::error_code error;
  return fs::exists(path, error);
}

std::string resolve(const std::string& path) {
  std::error_code error;
  const fs::path resolved = fs::canonical(path, error);
  return error ? std::string() : resolved.string();
}

std::string pci_address(const std::string& resolved) {
  std::string found;
  for (const fs::path& part : fs::path(resolved)) {
    if (is_pci_address(part.string())) found = part.string();  // the last one: bridges come before the function
  }
  return found;
}

double pcie_GBps(const std::string& root, const std::string& address) {
  if (address.empty()) return 0;
  const std::string function = root + "/sys/bus/pci/devices/" + address;
  const std::optional<double> speed = read_number(function + "/max_link_speed");
  const std::optional<double> width = read_number(function + "/current_link_width");
  if (!speed || !width || *speed <= 0 || *width <= 0) return 0;
  // The parent folder is the bridge above it; at a root complex it has no link and gives nothing.
  const double upstream = read_number(function + "/../max_link_speed").value_or(*speed);
  return lane_GBps(upstream > 0 ? std::min(*speed, upstream) : *speed) * *width;
}

}  // namespace tutti::sysfs
