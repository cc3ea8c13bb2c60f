// An independent referee of Tutti's simulator: takes a plan (plan_to_json) and a machine (a topology file), makes them a graph of SimGrid
// activities, and prints the simulated time in us. It shares no code with Tutti: routes, slices and the order of messages are worked out
// here from what docs and headers say.
//
//   referee PLAN.json MACHINE.json --bytes N [--slice-bytes N] [--depth N] [--injection US] [--reduce BYTES_PER_US]
//
// An instruction is an Exec; a message is an Exec of its latency, then a Comm of its bytes; a slot's way back is an Exec of the latency.
// Links have no latency of their own: SimGrid would give flows of longer latency smaller shares, as TCP does. One SimGrid second is one us.
// Injection holds back a strand's next message only: for several strands of a rank, whose order is not known before, it is left out.
// Threading: one thread.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <simgrid/s4u.hpp>
#include <string>
#include <tuple>
#include <vector>

namespace sg4 = simgrid::s4u;
using Json = nlohmann::json;

namespace {

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "referee: %s\n", what.c_str());
  std::exit(1);
}

Json read(const char* path) {
  std::ifstream file(path);
  if (!file) die(std::string("cannot read ") + path);
  return Json::parse(file);
}

struct Arguments {
  const char* plan = nullptr;
  const char* machine = nullptr;
  double bytes = 0, slice_bytes = 0, injection_us = 0, reduce = 0;
  size_t depth = 0;
};

Arguments parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const auto is = [&](const char* name) { return std::strcmp(argv[i], name) == 0 && i + 1 < argc; };
    if (is("--bytes")) {
      arguments.bytes = std::atof(argv[++i]);
    } else if (is("--slice-bytes")) {
      arguments.slice_bytes = std::atof(argv[++i]);
    } else if (is("--depth")) {
      arguments.depth = static_cast<size_t>(std::atoi(argv[++i]));
    } else if (is("--injection")) {
      arguments.injection_us = std::atof(argv[++i]);
    } else if (is("--reduce")) {
      arguments.reduce = std::atof(argv[++i]);
    } else if (arguments.plan == nullptr) {
      arguments.plan = argv[i];
    } else if (arguments.machine == nullptr) {
      arguments.machine = argv[i];
    } else {
      die(std::string("what is ") + argv[i] + "?");
    }
  }
  if (arguments.machine == nullptr || arguments.bytes <= 0) die("referee PLAN.json MACHINE.json --bytes N [...]");
  return arguments;
}

// --- the machine

struct Wire {
  std::string from, to;
  double latency = 0;
  sg4::Link* link = nullptr;
};

struct Machine {
  std::vector<Wire> wires;
  std::vector<std::string> name_of_rank;
  std::vector<sg4::Host*> hosts;   // of each rank
  std::vector<sg4::Host*> clocks;  // of each rank: where its delays pass, any number at once
  std::map<std::string, bool> forwards;
  sg4::NetZone* zone = nullptr;
};

Machine make_machine(const Json& json) {
  Machine machine;
  machine.zone = sg4::create_full_zone("machine");
  const Json& endpoints = json.at("endpoints");
  for (const Json& each : json.at("switches")) machine.forwards[each.at("id")] = true;
  for (const Json& each : endpoints) {
    machine.forwards[each.at("id")] = each.value("forwards", false);
    if (each.value("rank", -1) >= 0)
      machine.name_of_rank.resize(std::max<size_t>(machine.name_of_rank.size(), each.at("rank").get<size_t>() + 1));
  }
  for (const Json& each : endpoints) {
    if (each.value("rank", -1) >= 0) machine.name_of_rank[each.at("rank").get<size_t>()] = each.at("id");
  }
  for (size_t rank = 0; rank < machine.name_of_rank.size(); ++rank) {
    machine.hosts.push_back(machine.zone->create_host(std::string("rank").append(std::to_string(rank)), 1.0));
    machine.clocks.push_back(machine.zone->create_host(std::string("clock").append(std::to_string(rank)), 1.0)->set_core_count(1 << 20));
  }
  for (const Json& each : json.at("links")) {
    const double rate = each.at("GBps").get<double>() * 1000 * each.value("count", 1);
    sg4::Link* link = machine.zone->create_link(std::string("wire").append(std::to_string(machine.wires.size())), rate);
    machine.wires.push_back({each.at("from"), each.at("to"), each.at("latency_us"), link});
  }
  return machine;
}

// Bellman and Ford: fewest endpoints that would have to pass on what they cannot, then least latency, then fewest wires; of equal ones the
// wire that comes first in the file.
std::vector<size_t> route(const Machine& machine, const std::string& from, const std::string& to) {
  using Cost = std::tuple<int, double, int>;
  struct Best {
    Cost cost;
    size_t wire;
  };
  std::map<std::string, Best> best{{from, {{0, 0, 0}, machine.wires.size()}}};
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t w = 0; w < machine.wires.size(); ++w) {
      const Wire& wire = machine.wires[w];
      const auto at = best.find(wire.from);
      if (at == best.end() || wire.to == from) continue;
      const auto [relays, latency, hops] = at->second.cost;
      const bool relays_here = wire.from != from && !machine.forwards.at(wire.from);
      const Best next{{relays + (relays_here ? 1 : 0), latency + wire.latency, hops + 1}, w};
      const auto known = best.find(wire.to);
      if (known != best.end() && (known->second.cost < next.cost || (known->second.cost == next.cost && known->second.wire <= w))) continue;
      best[wire.to] = next;
      changed = true;
    }
  }
  std::vector<size_t> wires;
  for (std::string at = to; at != from; at = machine.wires[wires.back()].from) wires.push_back(best.at(at).wire);
  return wires;
}

// --- the plan

struct Message {
  sg4::ExecPtr latency;
  sg4::CommPtr comm;  // none where it has no bytes
};

// The messages of (FIFO channel, from, to): both ends count them.
struct Fifo {
  double latency = 0;
  std::vector<Message> sent;
  std::vector<sg4::ExecPtr> taken;
  std::vector<sg4::ExecPtr> freed;
};

class Replay {
 public:
  Replay(const Json& plan, Machine& machine, const Arguments& arguments) : plan_(plan), machine_(machine), arguments_(arguments) {
    const double num = plan.at("largest_message").at("num"), den = plan.at("largest_message").at("den");
    const auto count = static_cast<uint64_t>(arguments.bytes);
    uint64_t slices = 1;
    if (arguments.slice_bytes > 0) slices = static_cast<uint64_t>(std::ceil(arguments.bytes * num / den / arguments.slice_bytes));
    const uint64_t each = (count - 1) / slices + 1;
    for (uint64_t begin = 0; begin < count; begin += each) slices_.push_back(std::min(each, count - begin));
  }

  // Instructions first, each with its own message; then what joins two ranks.
  void build() {
    for (const Json& rank : plan_.at("ranks")) build_rank(rank);
    for (auto& [key, fifo] : fifos_) {
      if (fifo.sent.size() != fifo.taken.size()) die("the ends of a FIFO do not agree");
      for (size_t k = 0; k < fifo.sent.size(); ++k) {
        if (fifo.sent[k].comm) {
          fifo.sent[k].comm->add_successor(fifo.taken[k]);
        } else {
          fifo.sent[k].latency->add_successor(fifo.taken[k]);
        }
        if (arguments_.depth == 0 || k + arguments_.depth >= fifo.sent.size()) continue;
        fifo.taken[k]->add_successor(fifo.freed[k]);
        fifo.freed[k]->add_successor(senders_.at({key, k + arguments_.depth}));
      }
    }
    for (const auto& [waiter, target] : afters_) target->add_successor(waiter);
  }

  void start() {
    for (const sg4::ActivityPtr& activity : all_) activity->vetoable_start();
  }
  size_t size() const { return all_.size(); }

 private:
  using Key = std::tuple<int, int, int>;

  sg4::ExecPtr delay(int rank, double us) {
    sg4::ExecPtr exec = sg4::Exec::init()->set_flops_amount(us)->set_host(machine_.clocks[static_cast<size_t>(rank)]);
    all_.push_back(exec);
    return exec;
  }

  static double part(const Json& region, uint64_t slice) {
    const uint64_t den = region.at("den"), begin = region.at("begin").get<uint64_t>() % den;
    const uint64_t end = begin + region.at("end").get<uint64_t>() - region.at("begin").get<uint64_t>();
    return static_cast<double>(slice * end / den - slice * begin / den);
  }

  Fifo& fifo(const Key& key) {
    const auto known = fifos_.find(key);
    if (known != fifos_.end()) return known->second;
    Fifo& made = fifos_[key];
    const auto [channel, from, to] = key;
    const std::string& source = machine_.name_of_rank[static_cast<size_t>(from)];
    const std::vector<size_t> wires = route(machine_, source, machine_.name_of_rank[static_cast<size_t>(to)]);
    std::vector<sg4::LinkInRoute> links;
    for (auto wire = wires.rbegin(); wire != wires.rend(); ++wire) {
      made.latency += machine_.wires[*wire].latency;
      links.emplace_back(machine_.wires[*wire].link);
    }
    if (routed_.insert({from, to}).second) {
      machine_.zone->add_route(machine_.hosts[static_cast<size_t>(from)]->get_netpoint(),
                               machine_.hosts[static_cast<size_t>(to)]->get_netpoint(), nullptr, nullptr, links, false);
    }
    return made;
  }

  void send(const Key& key, double bytes, const sg4::ExecPtr& instruction) {
    Fifo& way = fifo(key);
    const auto [channel, from, to] = key;
    Message message{delay(from, way.latency), nullptr};
    instruction->add_successor(message.latency);
    if (bytes > 0) {
      message.comm = sg4::Comm::sendto_init(machine_.hosts[static_cast<size_t>(from)], machine_.hosts[static_cast<size_t>(to)]);
      message.comm->set_payload_size(static_cast<uint64_t>(bytes));
      all_.push_back(message.comm);
      message.latency->add_successor(message.comm);
    }
    // The messages of a FIFO follow one another.
    if (!way.sent.empty() && message.comm && way.sent.back().comm) way.sent.back().comm->add_successor(message.comm);
    senders_[{key, way.sent.size()}] = instruction;
    way.sent.push_back(message);
  }

  void build_rank(const Json& json) {
    const int rank = json.at("rank");
    const Json& channels = json.at("channels");
    const size_t nslices = slices_.size();
    std::vector<std::vector<sg4::ExecPtr>> fired(channels.size());  // slice by slice
    std::vector<std::tuple<size_t, size_t, size_t, size_t>> waits;  // channel, place; for channel, place
    for (size_t c = 0; c < channels.size(); ++c) {
      const int fifo_channel = json.contains("fifo_of_channel") ? json.at("fifo_of_channel")[c].get<int>() : static_cast<int>(c);
      sg4::ExecPtr before, hold;
      for (size_t s = 0; s < nslices; ++s) {
        for (const Json& instruction : channels[c]) {
          const Json* region = instruction.contains("src")   ? &instruction.at("src")
                               : instruction.contains("dst") ? &instruction.at("dst")
                                                             : nullptr;
          const double bytes = region == nullptr ? 0 : part(*region, slices_[s]);
          const bool reduces = instruction.at("op").get<std::string>().find("reduce") != std::string::npos;
          const sg4::ExecPtr exec = delay(rank, reduces && arguments_.reduce > 0 ? bytes / arguments_.reduce : 0);
          if (before) before->add_successor(exec);
          if (instruction.contains("after")) {
            const size_t other = instruction.at("after")[0];
            waits.emplace_back(c, fired[c].size(), other, s * channels[other].size() + instruction.at("after")[1].get<size_t>());
          }
          if (instruction.contains("from")) {
            Fifo& way = fifo({fifo_channel, instruction.at("from"), rank});
            way.taken.push_back(exec);
            if (arguments_.depth != 0) way.freed.push_back(delay(rank, way.latency));
          }
          if (instruction.contains("to")) {
            if (hold) hold->add_successor(exec);
            send({fifo_channel, rank, instruction.at("to")}, bytes, exec);
            if (arguments_.injection_us > 0) {
              hold = delay(rank, arguments_.injection_us);
              exec->add_successor(hold);
            }
          }
          fired[c].push_back(exec);
          before = exec;
        }
      }
    }
    for (const auto& [c, at, other, place] : waits) {
      // One that follows in the same strand is told already.
      if (other != c) afters_.emplace_back(fired[c][at], fired[other][place]);
    }
  }

  const Json& plan_;
  Machine& machine_;
  const Arguments& arguments_;
  std::vector<uint64_t> slices_;
  std::map<Key, Fifo> fifos_;
  std::set<std::pair<int, int>> routed_;
  std::map<std::pair<Key, size_t>, sg4::ExecPtr> senders_;
  std::vector<std::pair<sg4::ExecPtr, sg4::ExecPtr>> afters_;
  std::vector<sg4::ActivityPtr> all_;
};

}  // namespace

int main(int argc, char** argv) {
  sg4::Engine engine(&argc, argv);
  // The defaults fit TCP: they would multiply latencies by 13 and let acknowledgements share the links.
  sg4::Engine::set_config("network/model:CM02");
  sg4::Engine::set_config("network/crosstraffic:0");
  sg4::Engine::set_config("network/TCP-gamma:1e18");
  const Arguments arguments = parse(argc, argv);
  const Json plan = read(arguments.plan), description = read(arguments.machine);
  Machine machine = make_machine(description);
  Replay replay(plan, machine, arguments);
  replay.build();
  machine.zone->seal();
  replay.start();
  engine.run();
  std::printf("%.9g\n", sg4::Engine::get_clock());
  return 0;
}
