// One run of the failure runs: who fails how and when, in which job. All of it follows from a seed, so that a run that went wrong can be
// repeated by its number.
// Threading: values and pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tutti::failures {

enum class Kind : uint8_t { kKill, kStop, kCable, kNeverCalls, kOtherCall, kAbort };
inline constexpr Kind kKinds[] = {Kind::kKill, Kind::kStop, Kind::kCable, Kind::kNeverCalls, Kind::kOtherCall, Kind::kAbort};
enum class Wire : uint8_t { kShm, kTcp, kMixed };
inline constexpr Wire kWires[] = {Wire::kShm, Wire::kTcp, Wire::kMixed};
enum class Moment : uint8_t {
  kInit,    // while the ranks meet
  kIdle,    // between two calls
  kInside,  // in a call
};

const char* text_of(Kind kind);
const char* text_of(Wire wire);
const char* text_of(Moment moment);

struct Scenario {
  uint64_t number = 0;
  uint64_t seed = 0;
  Kind kind = Kind::kKill;
  Wire wire = Wire::kShm;
  Moment moment = Moment::kInside;
  int ranks = 2;
  int hosts = 1;          // of the lab, with a cable each; 1: no lab
  int victim = 0;         // a cable: the rank whose host's
  int late = 1;           // this rank comes late, so that the others wait; not the victim; -1: nobody
  int call = 0;           // the number of the call at which it happens
  uint64_t delay_us = 0;  // from there
  bool streams = false;   // calls are made on a host stream
  bool resumed = false;   // what was stopped goes on once the others have reported
  bool ends_by_abort = false;  // survivors abort rather than destroy

  int host_of(int rank) const { return rank * hosts / ranks; }
  // Whether the failure is this rank's, or (a cable) its host's.
  bool failed(int rank) const { return kind == Kind::kCable ? host_of(rank) == host_of(victim) : rank == victim; }
  std::string describe() const;
};

Scenario make_scenario(uint64_t seed, uint64_t number, Kind kind, Wire wire);

// A pseudo-random number that all ranks compute alike.
uint64_t mix(uint64_t seed, uint64_t a, uint64_t b = 0);

// The settings, by name, that the ranks of a scenario run with.
struct Setting {
  const char* name;
  std::string value;
};
std::vector<Setting> settings_of(const Scenario& scenario, int rank);

// The bounds, in seconds; generous, since the machine may be busy.
inline constexpr double kTimeout_s = 0.7;       // of operations, where the failure is silence
inline constexpr double kLongTimeout_s = 60;    // elsewhere: it must not be what ends the call
inline constexpr double kInitTimeout_s = 3;
inline constexpr double kHeartbeat_s = 2;
inline constexpr double kSlack_s = 15;
inline constexpr double kRelease_s = 10;
// From the failure to the last survivor's error.
double detection_bound_s(const Scenario& scenario);

}  // namespace tutti::failures
