// A temporary folder that stands in for "/" in detection: tests write the files of /sys and /proc that they need.
// Threading: one thread.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

namespace tutti {

class FakeRoot {
 public:
  FakeRoot() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tutti-root-XXXXXX").string();
    path_ = mkdtemp(pattern.data()) == nullptr ? std::string("/nonexistent") : pattern;
  }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;
  ~FakeRoot() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

  void write(const std::string& file, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(path_ + file).parent_path());
    std::ofstream(path_ + file) << content << "\n";
  }

  // Both below the root.
  void link(const std::string& from, const std::string& to) const {
    std::filesystem::create_directories(std::filesystem::path(path_ + from).parent_path());
    std::filesystem::create_directories(path_ + to);
    std::filesystem::create_symlink(path_ + to, path_ + from);
  }

 private:
  std::string path_;
};

}  // namespace tutti
