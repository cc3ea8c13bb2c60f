#include "topology/json_lines.h"

#include <algorithm>

namespace tutti {
namespace {

// The end of the string whose opening quote is at `begin`: the offset of its closing one.
size_t string_end(std::string_view text, size_t begin) {
  size_t at = begin + 1;
  while (at < text.size() && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
  return std::min(at, text.size());
}

}  // namespace

size_t line_of_byte(std::string_view text, size_t offset) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(offset, text.size()));
  return 1 + static_cast<size_t>(std::count(text.begin(), end, '\n'));
}

size_t line_of_element(std::string_view text, std::string_view key, size_t index) {
  std::string_view current;  // the top-level key that was read last
  size_t depth = 0, element = 0;
  bool begins = false;  // whether an element of the wanted array is to begin here
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
    if (begins && c != ']') {
      if (element == index) return line_of_byte(text, at);
      begins = false;
    }
    if (c == '"') {
      const size_t end = string_end(text, at);
      const size_t after = text.find_first_not_of(" \n\r\t", std::min(end + 1, text.size()));
      if (depth == 1 && after != std::string_view::npos && text[after] == ':') current = text.substr(at + 1, end - at - 1);
      at = end;
    } else if (c == '{' || c == '[') {
      ++depth;
      begins = depth == 2 && c == '[' && current == key;
    } else if (c == '}' || c == ']') {
      if (depth > 0) --depth;
    } else if (c == ',' && depth == 2 && current == key) {
      ++element;
      begins = true;
    }
  }
  return 0;
}

}  // namespace tutti
