#include "plan/serialise.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>

namespace tutti {
namespace {

using Json = nlohmann::json;
using std::to_string;

// --- writing

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_region(std::string& out, const char* key, const Region& region) {
  if (region.none()) return;
  out += std::string(", \"") + key + "\": {\"buffer\": \"" + buffer_name(region.buffer) + "\", \"begin\": " + to_string(region.begin) +
         ", \"end\": " + to_string(region.end) + ", \"den\": " + to_string(region.den) + "}";
}

void append_instruction(std::string& out, const Instruction& instruction) {
  out += std::string("{\"op\": \"") + opcode_name(instruction) + "\"";
  if (instruction.recv_peer != kNoPeer) out += ", \"from\": " + to_string(instruction.recv_peer);
  if (instruction.send_peer != kNoPeer) out += ", \"to\": " + to_string(instruction.send_peer);
  append_region(out, "src", instruction.src);
  append_region(out, "dst", instruction.dst);
  if (instruction.src_first) out += ", \"src_first\": true";
  if (instruction.completes) out += ", \"completes\": true";
  if (instruction.after_channel != -1 || instruction.after_index != -1) {
    out += ", \"after\": [" + to_string(instruction.after_channel) + ", " + to_string(instruction.after_index) + "]";
  }
  out += "}";
}

void append_fifos(std::string& out, const std::vector<int>& fifos) {
  if (fifos.empty()) return;
  for (size_t channel = 0; channel < fifos.size(); ++channel) {
    out += (channel == 0 ? ", \"fifo_of_channel\": [" : ", ") + to_string(fifos[channel]);
  }
  out += "]";
}

// The elements one a line; append(i) writes the i-th.
template <class Append>
void append_array(std::string& out, const std::string& indent, size_t size, Append append) {
  out += "[";
  for (size_t i = 0; i < size; ++i) {
    out += (i == 0 ? "\n" : ",\n") + indent + "  ";
    append(i);
  }
  out += size == 0 ? "]" : "\n" + indent + "]";
}

// --- reading

// Where a value is, as a list on the stack: spelled out only when something is wrong there.
struct Path {
  const Path* parent = nullptr;
  const char* key = nullptr;  // or else an index
  size_t index = 0;

  Path operator/(const char* member) const { return {this, member, 0}; }
  Path operator/(size_t element) const { return {this, nullptr, element}; }

  std::string text() const {
    if (parent == nullptr) return "";
    const std::string before = parent->text();
    if (key == nullptr) return before + "[" + to_string(index) + "]";
    return before.empty() ? key : before + "." + key;
  }
};

// A value for an error message: short, whatever it is.
std::string shown(const Json& value) {
  constexpr size_t kMostShown = 40;
  if (value.is_structured()) return value.is_array() ? "an array" : "an object";
  if (value.is_string() && value.get_ref<const std::string&>().size() > kMostShown) return "a long string";
  return value.dump();
}

// Reads a parsed document. Every function returns false once something is wrong, and failure() then says what; the first failure stays.
class Reader {
 public:
  const Status& failure() const { return failure_; }

  bool plan(const Json& json, Plan& plan) {
    const Path root;
    Program header;
    std::string collective;
    if (!object(json, root, {"collective", "algorithm", "nranks", "root", "min_bytes", "max_bytes", "largest_message", "ranks"}))
      return false;
    if (!string(json, root, "collective", collective) || !read_collective(collective, root, header.collective)) return false;
    if (!string(json, root, "algorithm", header.algorithm)) return false;
    if (!integer(json, root, "nranks", 1, kMaxRanks, header.nranks)) return false;
    if (!integer(json, root, "root", 0, header.nranks - 1, header.root)) return false;
    if (!range(json, root, plan) || !largest_message(json, root, header)) return false;
    const Json* ranks = array(json, root, "ranks");
    if (ranks == nullptr) return false;
    const Path ranks_path = root / "ranks";
    if (ranks->size() != static_cast<size_t>(header.nranks)) {
      return fail(ranks_path, "must have one element for each of the " + to_string(header.nranks) + " ranks of nranks, has " +
                                  to_string(ranks->size()));
    }
    plan.ranks.reserve(ranks->size());
    for (size_t rank = 0; rank < ranks->size(); ++rank) {
      plan.ranks.push_back(header);
      if (!program((*ranks)[rank], ranks_path / rank, rank, plan.ranks.back())) return false;
    }
    return true;
  }

 private:
  static constexpr int kMaxRanks = 1 << 20;

  bool fail(const Path& path, const std::string& what) {
    const std::string where = path.text();
    failure_ = {Code::kInvalidArgument, "plan JSON: " + (where.empty() ? "the document" : where) + " " + what};
    return false;
  }

  bool read_collective(const std::string& name, const Path& path, Collective& collective) {
    for (int i = 0; i < kCollectives; ++i) {
      collective = static_cast<Collective>(i);
      if (name == collective_name(collective)) return true;
    }
    return fail(path / "collective", "is " + shown(name) + ", which is no collective; all_reduce is one");
  }

  bool range(const Json& json, const Path& path, Plan& plan) {
    constexpr int64_t kAny = Plan::kAnyBytes;
    if (json.contains("min_bytes") && !integer(json, path, "min_bytes", 0, kAny, plan.min_bytes)) return false;
    if (json.contains("max_bytes") && !integer(json, path, "max_bytes", 0, kAny, plan.max_bytes)) return false;
    if (plan.min_bytes <= plan.max_bytes) return true;
    return fail(path / "max_bytes", "is " + to_string(plan.max_bytes) + ", less than min_bytes, " + to_string(plan.min_bytes));
  }

  bool largest_message(const Json& json, const Path& path, Program& header) {
    const Json* value = member(json, path, "largest_message");
    const Path value_path = path / "largest_message";
    return value != nullptr && object(*value, value_path, {"num", "den"}) &&
           integer(*value, value_path, "num", 0, kMaxUnsigned, header.largest_num) &&
           integer(*value, value_path, "den", 1, kMaxUnsigned, header.largest_den);
  }

  bool program(const Json& json, const Path& path, size_t rank, Program& program) {
    if (!object(json, path, {"rank", "scratch_blocks", "fifo_of_channel", "channels"})) return false;
    if (!integer(json, path, "rank", 0, program.nranks - 1, program.rank)) return false;
    if (static_cast<size_t>(program.rank) != rank) {
      return fail(path / "rank", "is " + to_string(program.rank) + "; the ranks must be in order, from 0");
    }
    if (!integer(json, path, "scratch_blocks", 0, kMaxUnsigned, program.scratch_blocks)) return false;
    if (json.contains("fifo_of_channel") && !fifos(json, path, program.fifo_of_channel)) return false;
    const Json* channels = array(json, path, "channels");
    if (channels == nullptr) return false;
    const Path channels_path = path / "channels";
    program.channels.resize(channels->size());
    for (size_t channel = 0; channel < channels->size(); ++channel) {
      const Json& list = (*channels)[channel];
      const Path list_path = channels_path / channel;
      if (!list.is_array()) return fail(list_path, "must be an array of instructions, is " + shown(list));
      program.channels[channel].resize(list.size());
      for (size_t index = 0; index < list.size(); ++index) {
        if (!instruction(list[index], list_path / index, program.nranks, program.channels[channel][index])) return false;
      }
    }
    return true;
  }

  bool fifos(const Json& json, const Path& path, std::vector<int>& fifos) {
    const Json* list = array(json, path, "fifo_of_channel");
    if (list == nullptr) return false;
    const Path list_path = path / "fifo_of_channel";
    fifos.resize(list->size());
    for (size_t channel = 0; channel < list->size(); ++channel) {
      if (!number((*list)[channel], list_path / channel, 0, kMaxInt, fifos[channel])) return false;
    }
    return true;
  }

  bool instruction(const Json& json, const Path& path, int nranks, Instruction& instruction) {
    std::string op;
    if (!object(json, path, {"op", "from", "to", "src", "dst", "src_first", "completes", "after"})) return false;
    if (!string(json, path, "op", op)) return false;
    if (json.contains("from") && !integer(json, path, "from", 0, nranks - 1, instruction.recv_peer)) return false;
    if (json.contains("to") && !integer(json, path, "to", 0, nranks - 1, instruction.send_peer)) return false;
    if (json.contains("src") && !region(json["src"], path / "src", instruction.src)) return false;
    if (json.contains("dst") && !region(json["dst"], path / "dst", instruction.dst)) return false;
    if (json.contains("src_first") && !boolean(json, path, "src_first", instruction.src_first)) return false;
    if (json.contains("completes") && !boolean(json, path, "completes", instruction.completes)) return false;
    if (json.contains("after") && !after(json["after"], path / "after", instruction)) return false;
    // The one bit that only the name tells.
    instruction.reduce = op.find("reduce") != std::string::npos;
    const std::string meant = opcode_name(instruction);
    if (op == meant && op != "malformed") return true;
    const std::string others = meant == "malformed" ? "make no instruction with that name" : "make a " + meant;
    return fail(path / "op", "is " + shown(op) + ", but the keys beside it (from, to, src, dst) " + others);
  }

  bool region(const Json& json, const Path& path, Region& region) {
    std::string buffer;
    if (!object(json, path, {"buffer", "begin", "end", "den"})) return false;
    if (!string(json, path, "buffer", buffer)) return false;
    for (const Buffer known : {Buffer::kInput, Buffer::kOutput, Buffer::kScratch}) {
      if (buffer == buffer_name(known)) region.buffer = known;
    }
    if (region.none()) return fail(path / "buffer", "is " + shown(buffer) + "; must be \"input\", \"output\" or \"scratch\"");
    return integer(json, path, "begin", 0, kMaxUnsigned, region.begin) && integer(json, path, "end", 0, kMaxUnsigned, region.end) &&
           integer(json, path, "den", 1, kMaxUnsigned, region.den);
  }

  bool after(const Json& json, const Path& path, Instruction& instruction) {
    if (!json.is_array() || json.size() != 2) return fail(path, "must be [channel, index], is " + shown(json));
    return number(json[0], path / size_t{0}, 0, kMaxInt, instruction.after_channel) &&
           number(json[1], path / size_t{1}, 0, kMaxInt, instruction.after_index);
  }

  // An object with no other keys than these and "x-...".
  bool object(const Json& json, const Path& path, std::initializer_list<const char*> keys) {
    if (!json.is_object()) return fail(path, "must be an object, is " + shown(json));
    for (const auto& [key, value] : json.items()) {
      if (key.compare(0, 2, "x-") == 0 || std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
      return fail(path, "has the unknown key " + shown(key) + "; remove it, or begin its name with x-");
    }
    return true;
  }

  const Json* member(const Json& json, const Path& path, const char* key) {
    const auto found = json.find(key);
    if (found != json.end()) return &*found;
    fail(path / key, "is missing");
    return nullptr;
  }

  const Json* array(const Json& json, const Path& path, const char* key) {
    const Json* value = member(json, path, key);
    if (value == nullptr || value->is_array()) return value;
    fail(path / key, "must be an array, is " + shown(*value));
    return nullptr;
  }

  bool string(const Json& json, const Path& path, const char* key, std::string& out) {
    const Json* value = member(json, path, key);
    if (value == nullptr) return false;
    if (!value->is_string()) return fail(path / key, "must be a string, is " + shown(*value));
    out = value->get<std::string>();
    return true;
  }

  bool boolean(const Json& json, const Path& path, const char* key, bool& out) {
    const Json* value = member(json, path, key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) return fail(path / key, "must be true or false, is " + shown(*value));
    out = value->get<bool>();
    return true;
  }

  template <class Int>
  bool integer(const Json& json, const Path& path, const char* key, int64_t least, int64_t most, Int& out) {
    const Json* value = member(json, path, key);
    return value != nullptr && number(*value, path / key, least, most, out);
  }

  template <class Int>
  bool number(const Json& value, const Path& path, int64_t least, int64_t most, Int& out) {
    // Those beyond int64_t are unsigned, and read as uint64_t before the comparison.
    const bool fits = value.is_number_integer() &&
                      (value.is_number_unsigned() ? value.get<uint64_t>() <= static_cast<uint64_t>(most) : value.get<int64_t>() <= most);
    if (!fits || value.get<int64_t>() < least) {
      return fail(path, "must be an integer from " + to_string(least) + " to " + to_string(most) + ", is " + shown(value));
    }
    out = static_cast<Int>(value.get<int64_t>());
    return true;
  }

  static constexpr int64_t kMaxInt = std::numeric_limits<int>::max();
  static constexpr int64_t kMaxUnsigned = std::numeric_limits<uint32_t>::max();

  Status failure_;
};

// nlohmann's "[json.exception.parse_error.101] parse error at line 1, column 2: ..." without its number, and short: it may quote all that
// it read.
std::string tidy(std::string_view what) {
  constexpr size_t kMostShown = 200;
  const size_t tag_end = what.find("] ");
  return std::string(tag_end == std::string_view::npos ? what : what.substr(tag_end + 2)).substr(0, kMostShown);
}

}  // namespace

std::string plan_to_json(const Plan& plan) {
  const Program none;
  const Program& header = plan.ranks.empty() ? none : plan.ranks[0];
  std::string out = std::string("{\n  \"collective\": \"") + collective_name(header.collective) +
                    "\",\n  \"algorithm\": " + quoted(header.algorithm) + ",\n  \"nranks\": " + to_string(header.nranks) +
                    ",\n  \"root\": " + to_string(header.root);
  if (plan.min_bytes != 0) out += ",\n  \"min_bytes\": " + to_string(plan.min_bytes);
  if (plan.max_bytes != Plan::kAnyBytes) out += ",\n  \"max_bytes\": " + to_string(plan.max_bytes);
  out += ",\n  \"largest_message\": {\"num\": " + to_string(header.largest_num) + ", \"den\": " + to_string(header.largest_den) +
         "},\n  \"ranks\": ";
  append_array(out, "  ", plan.ranks.size(), [&](size_t rank) {
    const Program& program = plan.ranks[rank];
    out += "{\"rank\": " + to_string(program.rank) + ", \"scratch_blocks\": " + to_string(program.scratch_blocks);
    append_fifos(out, program.fifo_of_channel);
    out += ", \"channels\": ";
    append_array(out, "    ", program.channels.size(), [&](size_t channel) {
      const std::vector<Instruction>& list = program.channels[channel];
      append_array(out, "      ", list.size(), [&](size_t index) { append_instruction(out, list[index]); });
    });
    out += "}";
  });
  out += "\n}\n";
  return out;
}

Result<Plan> plan_from_json(std::string_view text) {
  try {
    const Json json = Json::parse(text.begin(), text.end());
    Plan plan;
    Reader reader;
    if (!reader.plan(json, plan)) return reader.failure();
    return plan;
  } catch (const Json::exception& error) {
    return Status(Code::kInvalidArgument, "plan JSON: not JSON: " + tidy(error.what()));
  } catch (const std::exception& error) {  // std::bad_alloc, std::length_error
    return Status(Code::kInvalidArgument, std::string("plan JSON: too large to read: ") + error.what());
  }
}

}  // namespace tutti
