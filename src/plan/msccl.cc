#include "plan/msccl.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <pugixml.hpp>
#include <sstream>
#include <tuple>
#include <utility>
#include <vector>

#include "plan/checks.h"
#include "plan/verifier.h"

namespace tutti {
namespace {

using std::to_string;

struct Name {
  Collective collective;
  const char* name;
};
// The first name of a collective is the one that is written.
constexpr Name kNames[] = {{Collective::kAllReduce, "allreduce"},
                           {Collective::kAllGather, "allgather"},
                           {Collective::kReduceScatter, "reduce_scatter"},
                           {Collective::kReduceScatter, "reducescatter"},
                           {Collective::kBroadcast, "broadcast"},
                           {Collective::kReduce, "reduce"},
                           {Collective::kGather, "gather"},
                           {Collective::kScatter, "scatter"},
                           {Collective::kAllToAll, "alltoall"}};

Status malformed(const std::string& what) {
  return {Code::kInvalidArgument, "MSCCL XML: " + what};
}

// --- out

constexpr uint64_t kMostChunks = 1 << 20;

// A thread block under way.
struct Block {
  int send = kNoPeer;
  int recv = kNoPeer;
  int chan = 0;
  std::vector<std::string> steps;
};

// Where an instruction has become steps: the last of them.
struct Place {
  int block = -1;
  int step = -1;
};

const char* letter(Buffer buffer) {
  return buffer == Buffer::kOutput ? "o" : buffer == Buffer::kScratch ? "s" : "i";
}

class Writer {
 public:
  Writer(const Program& program, uint32_t chunks) : program_(program), chunks_(chunks), places_(program.channels.size()) {}

  Status write(std::string& out) {
    for (size_t c = 0; c < program_.channels.size(); ++c) {
      if (Status bad = make_blocks(c); !bad.ok()) return bad;
      places_[c].resize(program_.channels[c].size());
    }
    // In an order in which what a step waits for has its place already.
    for (const verifier::Position& position : verifier::sequential_order(program_)) add(position.channel, position.index);
    mark_waited();
    const auto chunks_of = [&](uint32_t blocks) { return to_string(uint64_t{blocks} * chunks_); };
    out += "  <gpu id=\"" + to_string(program_.rank) + "\" i_chunks=\"" + chunks_of(input_blocks(program_.collective, program_.nranks)) +
           "\" o_chunks=\"" + chunks_of(output_blocks(program_.collective, program_.nranks)) + "\" s_chunks=\"" +
           chunks_of(program_.scratch_blocks) + "\">\n";
    for (size_t b = 0; b < blocks_.size(); ++b) {
      out += "    <tb id=\"" + to_string(b) + "\" send=\"" + to_string(blocks_[b].send) + "\" recv=\"" + to_string(blocks_[b].recv) +
             "\" chan=\"" + to_string(blocks_[b].chan) + "\">\n";
      for (const std::string& step : blocks_[b].steps) out += step;
      out += "    </tb>\n";
    }
    out += "  </gpu>\n";
    return {};
  }

 private:
  // One block a pair of peers; the peers that no instruction pairs have one each.
  Status make_blocks(size_t channel) {
    block_of_.emplace_back();
    auto& known = block_of_.back();
    const auto& list = program_.channels[channel];
    const auto open = [&](int recv, int send) {
      blocks_.push_back({.send = send, .recv = recv, .chan = program_.fifo(channel), .steps = {}});
      const int number = static_cast<int>(blocks_.size()) - 1;
      if (recv != kNoPeer) known[{false, recv}] = number;
      if (send != kNoPeer) known[{true, send}] = number;
      return number;
    };
    for (uint32_t i = 0; i < list.size(); ++i) {
      const int recv = list[i].recv_peer, send = list[i].send_peer;
      if (recv == kNoPeer || send == kNoPeer) continue;
      const auto a = known.find({false, recv}), b = known.find({true, send});
      if (a == known.end() && b == known.end()) {
        open(recv, send);
      } else if (a == known.end() || b == known.end() || a->second != b->second) {
        return malformed(verifier::describe(program_, static_cast<uint32_t>(channel), i) + " passes on from rank " + to_string(recv) +
                         " to rank " + to_string(send) +
                         ", but another instruction of its channel pairs one of them otherwise: a thread block has one of each");
      }
    }
    for (const Instruction& instruction : list) {
      if (instruction.recv_peer != kNoPeer && known.count({false, instruction.recv_peer}) == 0) open(instruction.recv_peer, kNoPeer);
      if (instruction.send_peer != kNoPeer && known.count({true, instruction.send_peer}) == 0) open(kNoPeer, instruction.send_peer);
    }
    if (known.empty() && !list.empty()) open(kNoPeer, kNoPeer);
    first_block_.push_back(static_cast<int>(blocks_.size()) - 1);
    return {};
  }

  int block_for(uint32_t channel, uint32_t index) const {
    const Instruction& instruction = program_.channels[channel][index];
    const auto& known = block_of_[channel];
    if (instruction.recv_peer != kNoPeer) return known.at({false, instruction.recv_peer});
    if (instruction.send_peer != kNoPeer) return known.at({true, instruction.send_peer});
    return index > 0 ? places_[channel][index - 1].block : first_block_[channel];
  }

  void add(uint32_t channel, uint32_t index) {
    const Instruction& instruction = program_.channels[channel][index];
    const int block = block_for(channel, index);
    // What must have ended before; a step has room for one, nops for the others.
    std::vector<Place> waits;
    if (index > 0 && places_[channel][index - 1].block != block) waits.push_back(places_[channel][index - 1]);
    if (instruction.after_channel >= 0) {
      const Place after = places_[static_cast<size_t>(instruction.after_channel)][static_cast<size_t>(instruction.after_index)];
      if (after.block != block) waits.push_back(after);
    }
    while (waits.size() > 1) {
      put(block, "nop", {}, {}, waits.back());
      waits.pop_back();
    }
    const Place wait = waits.empty() ? Place{} : waits[0];
    const std::string op = opcode_name(instruction);
    if (op == "copy_send") {
      put(block, "cpy", instruction.src, instruction.dst, wait);
      put(block, "s", instruction.dst, instruction.dst, {});
    } else {
      static const std::map<std::string, const char*> kTypes = {{"send", "s"},
                                                                {"recv", "r"},
                                                                {"recv_copy_send", "rcs"},
                                                                {"recv_reduce_send", "rrs"},
                                                                {"recv_reduce_copy", "rrc"},
                                                                {"recv_reduce_copy_send", "rrcs"},
                                                                {"copy", "cpy"},
                                                                {"reduce", "re"},
                                                                {"nop", "nop"}};
      put(block, kTypes.at(op), instruction.src, instruction.dst, wait);
    }
    places_[channel][index] = {block, static_cast<int>(blocks_[static_cast<size_t>(block)].steps.size()) - 1};
  }

  void put(int block, const char* type, const Region& src, const Region& dst, Place wait) {
    auto& steps = blocks_[static_cast<size_t>(block)].steps;
    if (wait.block >= 0) waited_.push_back(wait);
    const Region& extent = src.none() ? dst : src;
    const auto offset = [&](const Region& region) {
      return to_string(region.none() ? 0 : uint64_t{region.begin} * (chunks_ / region.den));
    };
    const uint64_t count = extent.none() ? 0 : uint64_t{extent.end - extent.begin} * (chunks_ / extent.den);
    // An operand that a step has not is named all the same, as MSCCL's own tools do.
    const Region& from = src.none() ? dst : src;
    const Region& to = dst.none() ? src : dst;
    steps.push_back("      <step s=\"" + to_string(steps.size()) + "\" type=\"" + type + "\" srcbuf=\"" + letter(from.buffer) +
                    "\" srcoff=\"" + offset(from) + "\" dstbuf=\"" + letter(to.buffer) + "\" dstoff=\"" + offset(to) + "\" cnt=\"" +
                    to_string(count) + "\" depid=\"" + to_string(wait.block) + "\" deps=\"" + to_string(wait.step) + "\" hasdep=\"0\"/>\n");
  }

  // hasdep: whether others wait for the step.
  void mark_waited() {
    for (const Place& place : waited_) {
      std::string& step = blocks_[static_cast<size_t>(place.block)].steps[static_cast<size_t>(place.step)];
      const size_t at = step.find("hasdep=\"0\"");
      if (at != std::string::npos) step[at + std::strlen("hasdep=\"")] = '1';
    }
  }

  const Program& program_;
  const uint32_t chunks_;
  std::vector<Block> blocks_;
  std::vector<std::map<std::pair<bool, int>, int>> block_of_;  // of each channel: by (sends, peer)
  std::vector<int> first_block_;
  std::vector<std::vector<Place>> places_;  // of each channel's instructions
  std::vector<Place> waited_;
};

// --- in

// What is wrong; thrown inside this file only, so that every getter may be an expression.
struct Wrong {
  std::string sentence;
};

// An element and how sentences call it: "gpu 1, tb 0, step 3 (line 17)".
class Element {
 public:
  Element(pugi::xml_node node, std::string name, std::string_view text) : node_(node), text_(text) {
    const auto offset = static_cast<size_t>(std::max<ptrdiff_t>(0, node.offset_debug()));
    const auto lines = std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(std::min(offset, text.size())), '\n');
    name_ = std::move(name);
    where_ = name_ + " (line " + to_string(lines + 1) + ")";
  }

  [[noreturn]] void wrong(const std::string& what) const { throw Wrong{where_ + " " + what}; }

  std::string text(const char* key) const {
    const pugi::xml_attribute attribute = node_.attribute(key);
    if (!attribute) wrong(std::string("has no attribute ") + key + ": add it");
    return attribute.value();
  }
  int64_t number(const char* key, int64_t least, int64_t most) const {
    const std::string value = text(key);
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number < least || number > most) {
      wrong(std::string(key) + "=\"" + value.substr(0, 40) + "\" must be an integer from " + to_string(least) + " to " + to_string(most));
    }
    return number;
  }
  int64_t number(const char* key, int64_t least, int64_t most, int64_t fallback) const {
    return node_.attribute(key) ? number(key, least, most) : fallback;
  }
  // The elements inside, all of them called `tag`.
  std::vector<Element> children(const char* tag) const {
    std::vector<Element> all;
    for (const pugi::xml_node child : node_.children()) {
      if (child.type() != pugi::node_element) continue;
      Element element(child, (name_ == "algo" ? "" : name_ + ", ") + child.name() + " " + to_string(all.size()), text_);
      if (std::strcmp(child.name(), tag) != 0) element.wrong(std::string("stands where only ") + tag + " may");
      all.push_back(element);
    }
    return all;
  }

 private:
  pugi::xml_node node_;
  std::string_view text_;
  std::string name_, where_;
};

constexpr int kMostRanks = 1 << 16;
constexpr int64_t kMostOffset = int64_t{1} << 31;

struct Reader {
  Program header;
  uint32_t chunks = 1;      // of a block
  uint64_t most_count = 0;  // of a message

  Plan read(const Element& algo) {
    const std::string name = algo.text("coll");
    const auto known = std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& each) { return name == each.name; });
    if (known == std::end(kNames))
      algo.wrong("coll=\"" + name.substr(0, 40) +
                 "\" is no collective; allreduce, allgather, reduce_scatter, broadcast, reduce, gather, scatter and alltoall are");
    header.collective = known->collective;
    header.algorithm = algo.text("name");
    header.nranks = static_cast<int>(algo.number("ngpus", 1, kMostRanks));
    header.root = static_cast<int>(algo.number("root", 0, header.nranks - 1, 0));
    if (algo.number("inplace", 0, 1, 0) == 1) algo.wrong("inplace=\"1\": a plan must not write its input; export it out of place");
    const uint32_t blocks = std::max(input_blocks(header.collective, header.nranks), output_blocks(header.collective, header.nranks));
    const auto loop = static_cast<uint64_t>(algo.number("nchunksperloop", 1, kMostOffset));
    if (loop % blocks != 0 || loop / blocks > kMostChunks) {
      algo.wrong("nchunksperloop=\"" + to_string(loop) + "\" must be a multiple of " + to_string(blocks) +
                 ", the blocks of the larger buffer, at most " + to_string(kMostChunks) + " each");
    }
    chunks = static_cast<uint32_t>(loop / blocks);
    const std::vector<Element> gpus = algo.children("gpu");
    if (gpus.size() != static_cast<size_t>(header.nranks)) {
      algo.wrong("has " + to_string(gpus.size()) + " gpus, but ngpus=\"" + to_string(header.nranks) + "\"");
    }
    Plan plan;
    plan.ranks.resize(gpus.size(), header);
    std::vector<bool> seen(gpus.size(), false);
    for (const Element& gpu : gpus) {
      const auto id = static_cast<size_t>(gpu.number("id", 0, header.nranks - 1));
      if (seen[id]) gpu.wrong("has the id " + to_string(id) + " of another");
      seen[id] = true;
      plan.ranks[id].rank = static_cast<int>(id);
      read_gpu(gpu, plan.ranks[id]);
    }
    finish(plan);
    return plan;
  }

  void read_gpu(const Element& gpu, Program& program) {
    const auto scratch = static_cast<uint64_t>(gpu.number("s_chunks", 0, kMostOffset));
    program.scratch_blocks = static_cast<uint32_t>((scratch + chunks - 1) / chunks);
    const std::vector<Element> blocks = gpu.children("tb");
    std::vector<std::vector<Element>> steps;
    for (size_t b = 0; b < blocks.size(); ++b) {
      if (static_cast<size_t>(blocks[b].number("id", 0, kMostOffset)) != b)
        blocks[b].wrong("must have the id " + to_string(b) + ": they count from 0");
      steps.push_back(blocks[b].children("step"));
    }
    program.channels.resize(blocks.size());
    for (size_t b = 0; b < blocks.size(); ++b) {
      const int send = static_cast<int>(blocks[b].number("send", -1, header.nranks - 1));
      const int recv = static_cast<int>(blocks[b].number("recv", -1, header.nranks - 1));
      program.fifo_of_channel.push_back(static_cast<int>(blocks[b].number("chan", 0, 31, 0)));
      for (size_t s = 0; s < steps[b].size(); ++s) {
        const Element& step = steps[b][s];
        if (static_cast<size_t>(step.number("s", 0, kMostOffset)) != s)
          step.wrong("must have s=\"" + to_string(s) + "\": they count from 0");
        program.channels[b].push_back(read_step(step, send, recv, steps));
      }
    }
  }

  Region region(const Element& step, const char* buffer_key, const char* offset_key, uint64_t count) const {
    const std::string name = step.text(buffer_key);
    const Buffer buffer = name == "i" ? Buffer::kInput : name == "o" ? Buffer::kOutput : name == "s" ? Buffer::kScratch : Buffer::kNone;
    if (buffer == Buffer::kNone) step.wrong(std::string(buffer_key) + "=\"" + name.substr(0, 40) + "\" must be i, o or s");
    const auto begin = static_cast<uint64_t>(step.number(offset_key, 0, kMostOffset));
    if (begin + count > std::numeric_limits<uint32_t>::max()) step.wrong("reaches beyond any buffer");
    return {buffer, static_cast<uint32_t>(begin), static_cast<uint32_t>(begin + count), chunks};
  }

  Instruction read_step(const Element& step, int send, int recv, const std::vector<std::vector<Element>>& steps) {
    struct Type {
      const char* name;
      bool receives, sends, reduces, src, dst;
    };
    static constexpr Type kTypes[] = {
        {"s", false, true, false, true, false},   {"r", true, false, false, false, true}, {"rcs", true, true, false, false, true},
        {"rrs", true, true, true, true, false},   {"rrc", true, false, true, true, true}, {"rrcs", true, true, true, true, true},
        {"cpy", false, false, false, true, true}, {"re", false, false, true, true, true}, {"nop", false, false, false, false, false}};
    const std::string name = step.text("type");
    const auto type = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Type& each) { return name == each.name; });
    if (type == std::end(kTypes)) step.wrong("type=\"" + name.substr(0, 40) + "\" is none of s, r, rcs, rrs, rrc, rrcs, cpy, re, nop");
    Instruction instruction;
    if (type->receives && (instruction.recv_peer = recv) < 0) step.wrong("receives (" + name + "), but its tb has recv=\"-1\"");
    if (type->sends && (instruction.send_peer = send) < 0) step.wrong("sends (" + name + "), but its tb has send=\"-1\"");
    instruction.reduce = type->reduces;
    if (type->src || type->dst) {
      const auto count = static_cast<uint64_t>(step.number("cnt", 1, kMostOffset));
      if (type->src) instruction.src = region(step, "srcbuf", "srcoff", count);
      if (type->dst) instruction.dst = region(step, "dstbuf", "dstoff", count);
      if (type->receives || type->sends) most_count = std::max(most_count, count);
    }
    const int64_t block = step.number("depid", -1, kMostOffset, -1), place = step.number("deps", -1, kMostOffset, -1);
    if (block >= 0) {
      if (static_cast<size_t>(block) >= steps.size() || place < 0 ||
          static_cast<size_t>(place) >= steps[static_cast<size_t>(block)].size()) {
        step.wrong("waits for tb " + to_string(block) + ", step " + to_string(place) + ", which there is not");
      }
      instruction.after_channel = static_cast<int>(block);
      instruction.after_index = static_cast<int>(place);
    }
    return instruction;
  }

  // What all ranks agree on.
  void finish(Plan& plan) const {
    size_t channels = 1;
    for (const Program& program : plan.ranks) channels = std::max(channels, program.channels.size());
    for (Program& program : plan.ranks) {
      program.channels.resize(channels);
      program.fifo_of_channel.resize(channels, 0);
      program.largest_num = most_count == 0 ? 1 : static_cast<uint32_t>(most_count);
      program.largest_den = most_count == 0 ? 1 : chunks;
    }
  }
};

// Marks where a result is complete: all ranks' inputs are in it for the first time. Presumes that the plan resolves and does not deadlock.
void mark_complete(Plan& plan, const verifier::ResolvedPlan& resolved, const std::vector<uint32_t>& order) {
  const uint32_t n = resolved.nranks;
  std::map<std::pair<uint32_t, uint32_t>, uint32_t> inputs;  // by (cell, atom): how many are in it, once written
  std::vector<std::vector<uint32_t>> messages(resolved.nmessages);
  const uint32_t blocks = input_blocks(plan.ranks[0].collective, plan.ranks[0].nranks);
  for (const uint32_t index : order) {
    const verifier::Step& step = resolved.steps[index];
    const uint32_t strand = resolved.strand_of(index);
    Instruction& instruction =
        plan.ranks[strand / resolved.nchannels].channels[strand % resolved.nchannels][index - resolved.strand_begin[strand]];
    std::vector<uint32_t> value(step.atom_end - step.atom_begin, 0);
    if (step.recv_message != verifier::kNoIndex) value = std::move(messages[step.recv_message]);
    bool completes = !value.empty() && (instruction.reduce || n == 1);
    for (uint32_t i = 0; i < value.size(); ++i) {
      const uint32_t atom = step.atom_begin + i;
      const auto held = [&](uint32_t cell) {
        const auto found = inputs.find({cell, atom});
        if (found != inputs.end()) return found->second;
        return cell - resolved.cells[strand / resolved.nchannels].input < blocks ? 1u : 0u;
      };
      if (instruction.reduce) {
        value[i] = (step.recv_message != verifier::kNoIndex ? value[i] : held(step.dst_cell)) + held(step.src_cell);
      } else if (step.src_cell != verifier::kNoIndex) {
        value[i] = held(step.src_cell);
      }
      completes = completes && value[i] == n;
      if (step.dst_cell != verifier::kNoIndex) inputs[{step.dst_cell, atom}] = value[i];
    }
    instruction.completes = completes;
    if (step.send_message != verifier::kNoIndex) messages[step.send_message] = std::move(value);
  }
}

}  // namespace

Result<std::string> plan_to_msccl(const Plan& plan) {
  if (Status bad = check_structure(plan); !bad.ok()) return bad;
  const Program& header = plan.ranks[0];
  const auto known =
      std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& each) { return header.collective == each.collective; });
  if (known == std::end(kNames)) return malformed(std::string("there is no ") + collective_name(header.collective) + " in MSCCL");
  uint64_t chunks = 1;
  verifier::for_each_instruction(plan, [&](uint32_t, uint32_t, const Instruction& instruction, uint32_t) {
    for (const Region* region : {&instruction.src, &instruction.dst}) {
      if (chunks <= kMostChunks) chunks = std::lcm(chunks, uint64_t{region->den});
    }
  });
  if (chunks > kMostChunks) {
    return malformed("the plan's regions have no common chunk of which a block has at most " + to_string(kMostChunks) +
                     ": their denominators are too many");
  }
  const uint64_t blocks = std::max(input_blocks(header.collective, header.nranks), output_blocks(header.collective, header.nranks));
  int channels = 1;
  for (const Program& program : plan.ranks) {
    for (size_t c = 0; c < program.channels.size(); ++c) channels = std::max(channels, program.fifo(c) + 1);
  }
  pugi::xml_document document;  // escapes the name
  document.append_child("algo").append_attribute("name") = header.algorithm.c_str();
  std::ostringstream escaped;
  document.child("algo").print(escaped, "", pugi::format_raw);
  std::string out = escaped.str();
  out.resize(out.rfind('"') + 1);
  out += " proto=\"Simple\" nchannels=\"" + to_string(channels) + "\" nchunksperloop=\"" + to_string(blocks * chunks) + "\" ngpus=\"" +
         to_string(header.nranks) + "\" coll=\"" + known->name + "\" inplace=\"0\"";
  if (has_root(header.collective)) out += " root=\"" + to_string(header.root) + "\"";
  out += ">\n";
  for (const Program& program : plan.ranks) {
    if (Status bad = Writer(program, static_cast<uint32_t>(chunks)).write(out); !bad.ok()) return bad;
  }
  return out + "</algo>\n";
}

Result<Plan> plan_from_msccl(std::string_view text) {
  try {
    pugi::xml_document document;
    const pugi::xml_parse_result parsed = document.load_buffer(text.data(), text.size());
    if (!parsed) {
      const auto end =
          text.begin() + static_cast<ptrdiff_t>(std::min(static_cast<size_t>(std::max<ptrdiff_t>(0, parsed.offset)), text.size()));
      return malformed("line " + to_string(std::count(text.begin(), end, '\n') + 1) + ": " + parsed.description());
    }
    if (std::strcmp(document.document_element().name(), "algo") != 0) return malformed("the outermost element must be algo");
    Plan plan = Reader().read(Element(document.document_element(), "algo", text));
    {
      Result<verifier::ResolvedPlan> resolved = verifier::resolve(plan, {});
      if (!resolved.ok()) return resolved.status();
      std::vector<uint32_t> order;
      if (Status stuck = verifier::run_schedule(*resolved, verifier::kNoIndex, 1, order); !stuck.ok()) return stuck;
      if (reduces(plan.ranks[0].collective)) mark_complete(plan, *resolved, order);
    }
    if (Status wrong = verify(plan); !wrong.ok()) return wrong;
    return plan;
  } catch (const Wrong& wrong) {
    return malformed(wrong.sentence);
  } catch (const std::exception& error) {  // std::bad_alloc, std::length_error
    return malformed(std::string("too large to read: ") + error.what());
  }
}

}  // namespace tutti
