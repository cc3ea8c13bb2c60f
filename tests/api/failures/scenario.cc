#include "tests/api/failures/scenario.h"

namespace tutti::failures {

const char* text_of(Kind kind) {
  switch (kind) {
    case Kind::kKill: return "kill";
    case Kind::kStop: return "stop";
    case Kind::kCable: return "cable";
    case Kind::kNeverCalls: return "never-calls";
    case Kind::kOtherCall: return "other-call";
    case Kind::kAbort: return "abort";
  }
  return "?";
}

const char* text_of(Wire wire) {
  switch (wire) {
    case Wire::kShm: return "shm";
    case Wire::kTcp: return "tcp";
    case Wire::kMixed: return "shm+tcp";
  }
  return "?";
}

const char* text_of(Moment moment) {
  switch (moment) {
    case Moment::kInit: return "init";
    case Moment::kIdle: return "idle";
    case Moment::kInside: return "inside";
  }
  return "?";
}

std::string Scenario::describe() const {
  return std::string(text_of(kind)) + " over " + text_of(wire) + ", run " + std::to_string(number) + ": " + text_of(moment) + " at call " +
         std::to_string(call) + " + " + std::to_string(delay_us) + " us, " + std::to_string(ranks) + " ranks on " + std::to_string(hosts) +
         " hosts, victim " + std::to_string(victim) + ", late " + std::to_string(late) + (streams ? ", on streams" : ", blocking") +
         (resumed ? ", resumed" : "") + (ends_by_abort ? ", ended by abort" : "");
}

// splitmix64.
uint64_t mix(uint64_t seed, uint64_t a, uint64_t b) {
  uint64_t x = seed + 0x9e3779b97f4a7c15 * (a + 1) + 0xd1b54a32d192ed03 * (b + 1);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

Scenario make_scenario(uint64_t seed, uint64_t number, Kind kind, Wire wire) {
  Scenario s = {.number = number, .kind = kind, .wire = wire};
  s.seed = mix(seed, number, static_cast<uint64_t>(kind) * 8 + static_cast<uint64_t>(wire));
  uint64_t drawn = 0;
  const auto draw = [&](uint64_t below) { return mix(s.seed, 1000 + drawn++) % below; };
  s.ranks = 2 + static_cast<int>(draw(5));
  if (kind == Kind::kCable) {
    s.hosts = s.ranks == 2 ? 2 : 2 + static_cast<int>(draw(2));
    if (wire == Wire::kMixed && s.ranks == s.hosts) ++s.ranks;  // some ranks shall share a host
  }
  s.victim = static_cast<int>(draw(static_cast<uint64_t>(s.ranks)));
  s.late = draw(2) == 0 ? -1 : (s.victim + 1 + static_cast<int>(draw(static_cast<uint64_t>(s.ranks) - 1))) % s.ranks;
  s.moment = static_cast<Moment>(draw(3));
  if (kind == Kind::kOtherCall && s.moment == Moment::kInit) s.moment = Moment::kInside;
  if (kind == Kind::kAbort) {  // whom nobody waits for is not blocked
    s.moment = Moment::kInside;
    if (s.late < 0) s.late = (s.victim + 1) % s.ranks;
  }
  s.call = static_cast<int>(draw(20));
  s.delay_us = draw(s.moment == Moment::kInit ? 20'000 : 5'000);
  s.streams = draw(2) == 0;
  s.resumed = kind == Kind::kStop && draw(2) == 0;
  s.ends_by_abort = draw(4) == 0;
  return s;
}

double detection_bound_s(const Scenario& s) {
  double bound = kSlack_s;
  if (s.moment == Moment::kInit) bound += kInitTimeout_s + 3;  // the grace of those who are told by the rendezvous
  if (s.kind == Kind::kStop || s.kind == Kind::kNeverCalls) bound += kTimeout_s + 2.5;  // the answers, another's finding
  if (s.kind == Kind::kCable) bound += 2 * kHeartbeat_s;
  return bound;
}

std::vector<Setting> settings_of(const Scenario& s, int rank) {
  const bool silent = s.kind == Kind::kStop || s.kind == Kind::kNeverCalls;
  std::vector<Setting> settings = {{"TUTTI_INIT_TIMEOUT", std::to_string(kInitTimeout_s)},
                                   {"TUTTI_TIMEOUT", std::to_string(silent ? kTimeout_s : kLongTimeout_s)}};
  if (s.kind == Kind::kCable) settings.push_back({"TUTTI_HEARTBEAT", std::to_string(kHeartbeat_s)});
  if (s.wire == Wire::kTcp) settings.push_back({"TUTTI_TRANSPORTS", "tcp"});
  if (s.wire == Wire::kMixed && s.kind != Kind::kCable) settings.push_back({"TUTTI_NODE_ID", "node" + std::to_string(rank % 2)});
  // Bytes cross often, and a job that fails has little to free.
  settings.push_back({"TUTTI_LANES", std::to_string(1 + s.seed % 2)});
  return settings;
}

}  // namespace tutti::failures
