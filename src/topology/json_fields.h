// What the strict readers of JSON files share: topology files and tuning files. A key that is missing, unknown (unless it begins with x-),
// twice there or of a wrong kind is refused in a sentence with the file, the line and the object.
// Threading: pure functions. For the .cc files of readers only, since it brings all of nlohmann's JSON.
#pragma once

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "topology/json_lines.h"

namespace tutti::strict_json {

using Json = nlohmann::ordered_json;  // keys in the contract's order: people read this too

inline std::string in_quotes(const std::string& text) {
  return std::string(1, '\'').append(text).append(1, '\'');
}

// What a reader has found wrong; thrown inside read_strictly() only, so that every getter may be an expression.
struct Wrong {
  std::string key;   // of the top-level array; empty: the file as a whole
  size_t index = 0;  // in that array
  std::string sentence;
};

// One object of the file, and what was asked of it.
class Fields {
 public:
  // `name` is how sentences call the object: links[3].
  Fields(const Json& object, std::string key, size_t index) : object_(object), key_(std::move(key)), index_(index) {
    if (!object.is_object()) wrong(name() + " must be an object, is " + object.type_name());
  }

  std::string name() const { return key_.empty() ? "the file" : key_ + "[" + std::to_string(index_) + "]"; }
  [[noreturn]] void wrong(std::string sentence) const { throw Wrong{key_, index_, std::move(sentence)}; }

  const Json* find(const char* key) {
    known_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  const Json& need(const char* key) {
    const Json* const value = find(key);
    if (value == nullptr) wrong(name() + " has no key " + in_quotes(key) + ": add it");
    return *value;
  }

  std::string text(const char* key, const char* fallback) { return as_text(key, find(key), fallback); }
  std::string text(const char* key) { return as_text(key, &need(key), ""); }
  bool flag(const char* key) {
    const Json* const value = find(key);
    if (value != nullptr && !value->is_boolean()) wrong(says(key, *value) + " must be true or false");
    return value != nullptr && value->get<bool>();
  }
  int whole(const char* key, int least, int fallback) {
    const Json* const value = find(key);
    if (value == nullptr) return fallback;
    if (value->is_number_integer() && !(value->is_number_unsigned() && value->get<uint64_t>() > std::numeric_limits<int>::max())) {
      const auto number = value->get<int64_t>();
      if (number >= least && number <= std::numeric_limits<int>::max()) return static_cast<int>(number);
    }
    wrong(says(key, *value) + " must be a whole number of " + std::to_string(least) + " or more");
  }
  double number(const char* key) {
    const Json& value = need(key);
    if (!value.is_number()) wrong(says(key, value) + " must be a number");
    return value.get<double>();
  }
  // A required key's value as sentences tell it.
  std::string says(const char* key, const Json& value) const {
    std::string shown = value.is_structured() ? value.type_name() : value.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (shown.size() > 60) shown = shown.substr(0, 57) + "...";
    return name() + ": " + key + " is " + shown + ", but";
  }

  // After all keys were asked for.
  void refuse_unknown() const {
    for (const auto& [key, value] : object_.items()) {
      if (known_.count(key) == 0 && key.rfind("x-", 0) != 0) {
        wrong(name() + " has the unknown key " + in_quotes(key) + ": correct it, or begin it with x- to have it passed over");
      }
    }
  }

 private:
  std::string as_text(const char* key, const Json* value, const char* fallback) {
    if (value == nullptr) return fallback;
    if (!value->is_string()) wrong(says(key, *value) + " must be a text");
    return value->get<std::string>();
  }

  const Json& object_;
  std::string key_;
  size_t index_;
  std::set<std::string> known_;
};

// Calls read(Fields&) for every object of a top-level array.
template <class Read>
void for_each(Fields& root, const char* key, bool needed, Read read) {
  const Json* const array = needed ? &root.need(key) : root.find(key);
  if (array == nullptr) return;
  if (!array->is_array()) root.wrong(root.says(key, *array) + " must be an array");
  for (size_t i = 0; i < array->size(); ++i) {
    Fields fields((*array)[i], key, i);
    read(fields);
    fields.refuse_unknown();
  }
}

// Refuses a key that an object has twice, of which the parser would keep the last.
class TwiceKeys {
 public:
  bool operator()(int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) open_.emplace_back();
    if (event == Json::parse_event_t::object_end) open_.pop_back();
    if (event == Json::parse_event_t::key && !open_.back().insert(value.get<std::string>()).second && twice.empty()) {
      twice = value.get<std::string>();
    }
    return true;
  }
  std::string twice;

 private:
  std::vector<std::set<std::string>> open_;
};

// `file` says what it is, too: "topology file rack.json". line 0: none.
inline Status refused(const std::string& file, size_t line, const std::string& sentence) {
  std::string place = file;
  if (line > 0) place.append(1, ':').append(std::to_string(line));
  return {Code::kInvalidArgument, place + ": " + sentence};
}

// What read(const Json&) makes of the text; it may throw Wrong. Errors: kInvalidArgument.
template <class T, class Read>
Result<T> read_strictly(std::string_view text, const std::string& file, Read read) {
  Json json;
  TwiceKeys keys;
  try {
    json = Json::parse(text.begin(), text.end(), std::ref(keys));
  } catch (const Json::parse_error& error) {
    return refused(file, line_of_byte(text, error.byte > 0 ? error.byte - 1 : 0), "not JSON: " + std::string(error.what()));
  } catch (const Json::exception& error) {  // a number that no double holds
    return refused(file, 0, "not JSON: " + std::string(error.what()));
  }
  if (!keys.twice.empty()) return refused(file, 0, "the key " + in_quotes(keys.twice) + " appears twice in one object: remove one");
  try {
    return read(json);
  } catch (const Wrong& wrong) {
    return refused(file, wrong.key.empty() ? 0 : line_of_element(text, wrong.key, wrong.index), wrong.sentence);
  }
}

// The file's text, of at most `most` bytes. `kind`: "topology file". Errors: kSystem, kInvalidArgument (more).
inline Result<std::string> read_text_file(const std::string& path, const std::string& kind, size_t most) {
  std::ifstream file(path, std::ios::binary);
  std::string text;
  for (char buffer[65536]; file.read(buffer, sizeof buffer) || file.gcount() > 0;) {
    text.append(buffer, static_cast<size_t>(file.gcount()));
    if (text.size() > most) {
      return refused(kind + " " + path, 0, "is larger than " + std::to_string(most >> 20) + " MiB: this is no " + kind);
    }
  }
  if (!file.eof()) return system_error("read the " + kind + " " + path, errno);
  return text;
}

// FNV-1a: for telling files apart, not against somebody who means harm.
inline uint64_t text_hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

}  // namespace tutti::strict_json
