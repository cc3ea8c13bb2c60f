// Text for people, made of lines of at most 80 columns; and the words that the tools' texts share.
// For topology/ and the tools. Threading: pure functions.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>
#include <string_view>

namespace tutti {

inline constexpr size_t kColumns = 80;

__attribute__((format(printf, 1, 2))) inline std::string text(const char* format, ...) {
  char buffer[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(buffer, sizeof buffer, format, arguments);
  va_end(arguments);
  return buffer;
}

// One line, shortened to fit.
inline void line(std::string& out, std::string content) {
  content.erase(content.find_last_not_of(' ') + 1);
  if (content.size() > kColumns) content = content.substr(0, kColumns - 3) + "...";
  out += content + "\n";
}

// "1 core", "2 cores", "3 switches", "4 leaves"
inline std::string plural(size_t count, std::string_view noun) {
  const char last = noun.empty() ? ' ' : noun.back();
  if (count != 1 && last == 'f') return std::to_string(count).append(" ").append(noun.substr(0, noun.size() - 1)).append("ves");
  return std::to_string(count).append(" ").append(noun).append(count == 1 ? "" : last == 'h' ? "es" : "s");
}

// Breaks `sentence` at blanks into lines of at most kColumns, each behind `indent` blanks.
inline std::string wrapped(std::string_view sentence, size_t indent) {
  const size_t room = kColumns - indent;
  std::string out;
  while (!sentence.empty()) {
    size_t end = sentence.size();
    if (end > room) {
      const size_t blank = sentence.rfind(' ', room);
      end = blank == std::string_view::npos || blank == 0 ? room : blank;
    }
    out += std::string(indent, ' ') + std::string(sentence.substr(0, end)) + "\n";
    sentence.remove_prefix(end);
    const size_t next = sentence.find_first_not_of(' ');
    sentence.remove_prefix(next == std::string_view::npos ? sentence.size() : next);
  }
  return out;
}

// "+3", "+3 nodes": what a card says that stands for others.
inline std::string others(size_t count, std::string_view noun = {}) {
  return std::string("+").append(noun.empty() ? std::to_string(count) : plural(count, noun));
}

// What a switch is: the end of its name without its number, "nic" of dgx-h100-0/nic3.
inline std::string name_class(const std::string& id) {
  const std::string name = id.substr(id.find_last_of('/') == std::string::npos ? 0 : id.find_last_of('/') + 1);
  const size_t end = name.find_last_not_of("0123456789.-_");
  return end == std::string::npos ? "switch" : name.substr(0, end + 1);
}

}  // namespace tutti
