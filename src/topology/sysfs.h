// Reading /sys and /proc. A file that is missing or unreadable is a normal answer (containers hide much of both), not an error.
// Threading: any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tutti::sysfs {

// The first line without its end; empty when unreadable.
std::string read_line(const std::string& path);

// The number that the first line starts with; nothing when there is none ("max", "Unknown", unreadable).
std::optional<double> read_number(const std::string& path);

// The names in a folder, sorted; empty when unreadable.
std::vector<std::string> list(const std::string& folder);

bool exists(const std::string& path);

// `path` with all links followed; empty when it leads nowhere.
std::string resolve(const std::string& path);

// The address ("0000:00:03.0") of the PCI function that a resolved device path lies under; empty when none.
std::string pci_address(const std::string& resolved);

// What one direction of the PCIe link of the function at `address` carries, in 10^9 bytes/s; 0 when unknown. Takes the highest speed
// that both ends know, not the current one: idle GPUs train their links down.
double pcie_GBps(const std::string& root, const std::string& address);

}  // namespace tutti::sysfs
