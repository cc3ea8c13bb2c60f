#include "tools/picture_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>

namespace tutti {
namespace {

Status write(const std::string& path, const std::string& content) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  if (file) return {};
  return Status(Code::kSystem, "cannot write the picture '" + path + "': " + (errno != 0 ? std::strerror(errno) : "unknown error"));
}

}  // namespace

Status write_pictures(const Graph& graph, const PictureOverlay* overlay, const PictureFiles& files) {
  if (!files.svg.empty()) {
    if (Status failed = write(files.svg, picture_svg(graph, overlay)); !failed.ok()) return failed;
  }
  return files.html.empty() ? Status() : write(files.html, picture_html(graph, overlay));
}

}  // namespace tutti
