// An independent referee of Tutti's simulator: takes a plan (plan_to_json) and a machine (a topology file), makes them a graph of SimGrid
// activities, and prints the simulated time in us. It shares no code with Tutti: routes, slices and the order of messages are worked out
// here from what docs and headers say.
//
//   referee PLAN.json MACHINE.json --bytes N [--slice-bytes N] [--depth N] [--injection US] [--reduce BYTES_PER_US]
//
// An instruction that takes time is an Exec; a message is an Exec of its latency, then a Comm of its bytes; a slot's way back is an Exec of
// the latency. Links have no latency of their own: SimGrid would give flows of longer latency smaller shares, as TCP does. One SimGrid
// second is one us. A rank injects its messages in the order in which they are ready; where several are at one moment, in the order in
// which SimGrid ends what they waited for. Threading: one thread.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <simgrid/s4u.hpp>
#include <string>
#include <tuple>
#include <unordered_map>
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
  size_t from = 0, to = 0;  // places in Machine::forwards
  double latency = 0;
  sg4::Link* link = nullptr;
};

struct Machine {
  std::vector<Wire> wires;
  std::vector<size_t> place_of_rank;
  std::vector<sg4::Host*> hosts;   // of each rank
  std::vector<sg4::Host*> clocks;  // of each rank: where its delays pass, any number at once
  std::vector<bool> forwards;      // of each endpoint and switch
  sg4::NetZone* zone = nullptr;
};

Machine make_machine(const Json& json) {
  Machine machine;
  machine.zone = sg4::create_full_zone("machine");
  const Json& endpoints = json.at("endpoints");
  std::map<std::string, size_t> places;
  for (const Json& each : endpoints) {
    const int rank = each.value("rank", -1);
    if (rank >= 0) {
      machine.place_of_rank.resize(std::max(machine.place_of_rank.size(), static_cast<size_t>(rank) + 1));
      machine.place_of_rank[static_cast<size_t>(rank)] = places.size();
    }
    machine.forwards.push_back(each.value("forwards", false));
    places.emplace(each.at("id"), places.size());
  }
  for (const Json& each : json.at("switches")) {
    machine.forwards.push_back(true);
    places.emplace(each.at("id"), places.size());
  }
  for (size_t rank = 0; rank < machine.place_of_rank.size(); ++rank) {
    machine.hosts.push_back(machine.zone->create_host(std::string("rank").append(std::to_string(rank)), 1.0));
    machine.clocks.push_back(machine.zone->create_host(std::string("clock").append(std::to_string(rank)), 1.0)->set_core_count(1 << 20));
  }
  for (const Json& each : json.at("links")) {
    const double rate = each.at("GBps").get<double>() * 1000 * each.value("count", 1);
    sg4::Link* link = machine.zone->create_link(std::string("wire").append(std::to_string(machine.wires.size())), rate);
    machine.wires.push_back({places.at(each.at("from")), places.at(each.at("to")), each.at("latency_us"), link});
  }
  return machine;
}

// The wire by which the best way from one place enters each other. Bellman and Ford: fewest endpoints that would have to pass on what they
// cannot, then least latency, then fewest wires; of equal ones the wire that comes first in the file.
std::vector<size_t> best_ways(const Machine& machine, size_t from) {
  using Cost = std::tuple<int, double, int>;
  struct Best {
    Cost cost{std::numeric_limits<int>::max(), 0, 0};
    size_t wire = std::numeric_limits<size_t>::max();
  };
  std::vector<Best> best(machine.forwards.size());
  best[from].cost = {0, 0, 0};
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t w = 0; w < machine.wires.size(); ++w) {
      const Wire& wire = machine.wires[w];
      const auto [relays, latency, hops] = best[wire.from].cost;
      if (relays == std::numeric_limits<int>::max() || wire.to == from) continue;
      const bool relays_here = wire.from != from && !machine.forwards[wire.from];
      const Best next{{relays + (relays_here ? 1 : 0), latency + wire.latency, hops + 1}, w};
      Best& known = best[wire.to];
      if (known.cost < next.cost || (known.cost == next.cost && known.wire <= w)) continue;
      known = next;
      changed = true;
    }
  }
  std::vector<size_t> wires;
  for (const Best& each : best) wires.push_back(each.wire);
  return wires;
}

// --- the plan

// Something that takes time: a delay of a rank, or a message's flow. SimGrid is told of it only when it may begin: an activity that exists
// but waits makes the end of every other dearer there.
struct Task {
  int rank = 0;
  double us = 0;
  int to = -1;  // a flow of `bytes` to that rank
  double bytes = 0;
  bool injects = false;  // takes until the rank has injected the messages before, too
  size_t waits = 0;      // for so many that are not done
  std::vector<size_t> then = {};
};

// The messages of (FIFO channel, from, to): both ends count them. Tasks.
struct Fifo {
  double latency = 0;
  std::vector<size_t> arrives;
  std::vector<size_t> sender;  // the beginning of what sends each, and of what takes each, and that one's end
  std::vector<size_t> taken;
  std::vector<size_t> done;
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
      if (fifo.arrives.size() != fifo.taken.size()) die("the ends of a FIFO do not agree");
      for (size_t k = 0; k < fifo.arrives.size(); ++k) {
        follow(fifo.arrives[k], fifo.taken[k]);
        if (arguments_.depth == 0 || k + arguments_.depth >= fifo.arrives.size()) continue;
        const size_t freed = add({.rank = std::get<2>(key), .us = fifo.latency});
        follow(fifo.done[k], freed);
        follow(freed, fifo.sender[k + arguments_.depth]);
      }
    }
  }

  // When the last is done.
  double run(sg4::Engine& engine) {
    sg4::Activity::on_completion_cb([this](const sg4::Activity& activity) {
      const auto found = running_.find(&activity);
      if (found == running_.end()) return;
      const size_t task = found->second.first;
      ended_ = std::move(found->second.second);  // SimGrid is in it still
      running_.erase(found);
      finish(task);
      begin_ready();
    });
    for (size_t task = 0; task < tasks_.size(); ++task) {
      if (tasks_[task].waits == 0) ready_.push_back(task);
    }
    begin_ready();
    engine.run();
    if (finished_ != tasks_.size()) die("some instructions wait for ever");
    return sg4::Engine::get_clock();
  }

 private:
  using Key = std::tuple<int, int, int>;
  struct Instruction {
    size_t begin;
    size_t end;  // the same, but where it has to wait for its message to be injected
  };

  size_t add(Task task) {
    tasks_.push_back(std::move(task));
    return tasks_.size() - 1;
  }
  void follow(size_t first, size_t then) {
    tasks_[first].then.push_back(then);
    ++tasks_[then].waits;
  }

  void finish(size_t task) {
    ++finished_;
    for (const size_t next : tasks_[task].then) {
      if (--tasks_[next].waits == 0) ready_.push_back(next);
    }
  }

  // What takes no time is done at once.
  void begin_ready() {
    while (!ready_.empty()) {
      const size_t id = ready_.front();
      ready_.pop_front();
      const Task& task = tasks_[id];
      const auto rank = static_cast<size_t>(task.rank);
      sg4::ActivityPtr activity;
      if (task.to >= 0 && task.bytes > 0) {
        activity = sg4::Comm::sendto_init(machine_.hosts[rank], machine_.hosts[static_cast<size_t>(task.to)])
                       ->set_payload_size(static_cast<uint64_t>(task.bytes));
      } else if (const double us = task.us + (task.injects ? injection(task.rank) : 0); us > 0) {
        activity = sg4::Exec::init()->set_flops_amount(us)->set_host(machine_.clocks[rank]);
      }
      if (!activity) {
        finish(id);
        continue;
      }
      running_[activity.get()] = {id, activity};
      activity->vetoable_start();
    }
  }

  // How long a message that is ready now has to wait for those that its rank injected before.
  double injection(int rank) {
    const double now = sg4::Engine::get_clock();
    double& free = injector_free_[rank];
    const double leaves = std::max(now, free);
    free = leaves + arguments_.injection_us;
    return leaves - now;
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
    const size_t source = machine_.place_of_rank[static_cast<size_t>(from)];
    std::vector<size_t>& entered_by = ways_[from];
    if (entered_by.empty()) entered_by = best_ways(machine_, source);
    std::vector<sg4::LinkInRoute> links;
    for (size_t at = machine_.place_of_rank[static_cast<size_t>(to)]; at != source; at = machine_.wires[entered_by[at]].from) {
      made.latency += machine_.wires[entered_by[at]].latency;
      links.emplace_back(machine_.wires[entered_by[at]].link);
    }
    std::reverse(links.begin(), links.end());
    if (routed_.insert({from, to}).second) {
      machine_.zone->add_route(machine_.hosts[static_cast<size_t>(from)]->get_netpoint(),
                               machine_.hosts[static_cast<size_t>(to)]->get_netpoint(), nullptr, nullptr, links, false);
    }
    return made;
  }

  // Latency, then the flow, which follows the one before in its FIFO.
  void send(Fifo& way, int from, int to, double bytes, const Instruction& instruction) {
    const size_t latency = add({.rank = from, .us = way.latency});
    const size_t flow = add({.rank = from, .to = to, .bytes = bytes});
    follow(instruction.end, latency);
    follow(latency, flow);
    if (!way.arrives.empty()) follow(way.arrives.back(), flow);
    way.sender.push_back(instruction.begin);
    way.arrives.push_back(flow);
  }

  void build_rank(const Json& json) {
    const int rank = json.at("rank");
    const Json& channels = json.at("channels");
    std::vector<std::vector<Instruction>> made(channels.size());    // slice by slice
    std::vector<std::tuple<size_t, size_t, size_t, size_t>> waits;  // channel, place; for channel, place
    for (size_t c = 0; c < channels.size(); ++c) {
      const int fifo_channel = json.contains("fifo_of_channel") ? json.at("fifo_of_channel")[c].get<int>() : static_cast<int>(c);
      for (size_t s = 0; s < slices_.size(); ++s) {
        for (const Json& instruction : channels[c]) {
          if (instruction.contains("after")) {
            const size_t other = instruction.at("after")[0];
            waits.emplace_back(c, made[c].size(), other, s * channels[other].size() + instruction.at("after")[1].get<size_t>());
          }
          const Instruction next = build_instruction(instruction, rank, fifo_channel, slices_[s]);
          if (!made[c].empty()) follow(made[c].back().end, next.begin);
          made[c].push_back(next);
        }
      }
    }
    for (const auto& [c, at, other, place] : waits) {
      // One that follows in the same strand is told already.
      if (other != c) follow(made[other][place].end, made[c][at].begin);
    }
  }

  Instruction build_instruction(const Json& json, int rank, int fifo_channel, uint64_t slice) {
    const Json* region = json.contains("src") ? &json.at("src") : json.contains("dst") ? &json.at("dst") : nullptr;
    const double bytes = region == nullptr ? 0 : part(*region, slice);
    const bool reduces = json.at("op").get<std::string>().find("reduce") != std::string::npos;
    Instruction made;
    made.begin = add({.rank = rank, .us = reduces && arguments_.reduce > 0 ? bytes / arguments_.reduce : 0});
    made.end = made.begin;
    if (json.contains("to") && arguments_.injection_us > 0) {
      made.end = add({.rank = rank, .injects = true});
      follow(made.begin, made.end);
    }
    if (json.contains("from")) {
      Fifo& way = fifo({fifo_channel, json.at("from"), rank});
      way.taken.push_back(made.begin);
      way.done.push_back(made.end);
    }
    if (json.contains("to")) send(fifo({fifo_channel, rank, json.at("to")}), rank, json.at("to"), bytes, made);
    return made;
  }

  const Json& plan_;
  Machine& machine_;
  const Arguments& arguments_;
  std::vector<uint64_t> slices_;
  std::vector<Task> tasks_;
  std::deque<size_t> ready_;
  size_t finished_ = 0;
  std::unordered_map<const sg4::Activity*, std::pair<size_t, sg4::ActivityPtr>> running_;  // by SimGrid's name: the task; held until done
  sg4::ActivityPtr ended_;
  std::map<int, double> injector_free_;  // of each rank: from when on
  std::map<Key, Fifo> fifos_;
  std::map<int, std::vector<size_t>> ways_;  // best_ways() of each rank that sends
  std::set<std::pair<int, int>> routed_;
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
  std::printf("%.9g\n", replay.run(engine));
  return 0;
}
