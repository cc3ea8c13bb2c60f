// What a lane does about an operation that waits: it asks whether its peers still live, whether they are in the same call, and when its
// time is over who is where. Nothing here is on the data path.
#include <algorithm>
#include <cstdio>
#include <map>
#include <thread>

#include "base/log.h"
#include "comm/communicator.h"

namespace tutti {
namespace {

constexpr double kAnswersWithin_s = 1;
// A rank whose peer says that it has failed waits so long for the reason, which comes by another way.
constexpr double kReasonWithin_s = 0.5;
// Several ranks run out of time at once: those that hear another's question leave the finding to it.
constexpr double kFindingWithin_s = 1.5;

double seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g s", seconds);
  return text;
}

}  // namespace

Status Lane::look(double waited_s) {
  if (comm_.aborted()) return fail_quietly({Code::kAborted, describe() + ": the communicator was aborted"});
  Health& health = comm_.health();
  if (health.failed()) {
    if (const std::optional<Failure> failure = health.failure_of_others()) {
      // What was sent before is there by now: only if that does not help is it a failure of this operation.
      if (!checking_ && suspect_ == kNoPeer && executor_.step() != StepResult::kBlocked) return {};
      return fail_heard(*failure);
    }
  }
  // Another operation of this rank has failed, and all others know: nobody will come to this one.
  if (comm_.poison_code() != Code::kOk) {
    if (!checking_ && suspect_ == kNoPeer && executor_.step() != StepResult::kBlocked) return {};
    return fail_quietly(comm_.usable());
  }
  if (suspect_ != kNoPeer) return resolve_suspicion();
  const WaitingFor waiting = checking_ ? WaitingFor{} : executor_.waiting_for();
  if (!checking_) {
    if (waiting.own_device) return look_at_device(waited_s);
    if (waiting.peer == kNoPeer) return {};
    if (Status status = look_at_peer(waiting, waited_s); !status.ok()) return status;
  }
  return look_at_time(waiting, waited_s);
}

Status Lane::look_at_device(double waited_s) {
  const Config& config = comm_.config_;
  const auto waits = [&] {
    return std::string(" for its own device ") + comm_.device().name() + ", which does not finish what it was given";
  };
  if (config.timeout_s > 0 && waited_s >= config.timeout_s)
    return fail({Code::kTimeout, describe() + ": waited " + std::to_string(waited_s) + " s" + waits() + " (timeout, TUTTI_TIMEOUT)"});
  if (!warned_ && config.warn_after_s > 0 && waited_s >= config.warn_after_s) {
    warned_ = true;
    log_warn(describe() + ": waiting" + waits() + ", for " + std::to_string(waited_s) + " s");
  }
  return {};
}

Status Lane::look_at_peer(const WaitingFor& waiting, double waited_s) {
  PeerState state = comm_.transport_->peer_state(waiting.peer);
  if (state == PeerState::kAlive && comm_.health().has_left(waiting.peer)) state = PeerState::kLeft;
  if (state == PeerState::kAlive) return is_mail() ? Status() : look_for_mismatch(waiting, waited_s);
  if (executor_.step() != StepResult::kBlocked) return {};  // as in look()
  const int peer = executor_.waiting_for().peer;
  if (peer != waiting.peer) return {};
  if (state == PeerState::kDied || state == PeerState::kLost) return fail_died(peer, state);
  if (state == PeerState::kLeft) {
    return fail({Code::kRemote, describe() + ": " + comm_.describe_peer(peer) +
                                    " left the communicator and will not take part: all ranks must make the same calls"});
  }
  if (!gone_since_) gone_since_ = Clock::now();
  // Where a cut in the tree keeps the reason away, this rank finds the cut itself, within the heartbeat.
  const double patience_s = state == PeerState::kAborted ? std::max(kReasonWithin_s, comm_.config_.heartbeat_s + 1) : kReasonWithin_s;
  if (seconds_since(*gone_since_) < patience_s) return {};
  if (state == PeerState::kAbsent) return fail_died(peer, state);  // without a goodbye
  return fail({Code::kRemote, describe() + ": " + comm_.describe_peer(peer) + " failed or was aborted: its own error says why"});
}

// What others have told, or this rank has done: then what an operation runs into is a consequence.
std::optional<Status> Lane::known_failure() {
  if (comm_.aborted()) return fail_quietly({Code::kAborted, describe() + ": the communicator was aborted"});
  if (const std::optional<Failure> failure = comm_.health().failure_of_others()) return fail_heard(*failure);
  if (comm_.poison_code() != Code::kOk) return fail_quietly(comm_.usable());
  return std::nullopt;
}

// It could not be planned, or a connection that it needs could not be made.
Status Lane::fail_to_begin(const Status& status) {
  if (std::optional<Status> known = known_failure()) return *known;
  const int peer = executor_.unreached();
  if (status.code() == Code::kTimeout && peer != kNoPeer) return fail_unreached(peer, status);
  return fail({status.code(), describe() + ": " + status.message()});
}

// The peer is silent. As look_at_time() and fail_timeout(), but here nothing moves meanwhile.
Status Lane::fail_unreached(int peer, const Status& status) {
  Health& health = comm_.health();
  constexpr auto kNap = std::chrono::milliseconds(1);
  for (const auto begun = Clock::now(); health.somebody_asks(kFindingWithin_s) && seconds_since(begun) < kFindingWithin_s;) {
    if (std::optional<Status> known = known_failure()) return *known;
    std::this_thread::sleep_for(kNap);
  }
  census_ = health.ask(Health::kEverybody);
  std::vector<Answer> answers;
  for (const auto begun = Clock::now(); seconds_since(begun) < kAnswersWithin_s; std::this_thread::sleep_for(kNap)) {
    if (std::optional<Status> known = known_failure()) return *known;
    answers = health.answers(census_);
    if (answers.size() + 1 == static_cast<size_t>(comm_.nranks_)) break;
  }
  const Result<std::string> late = who_is_late(answers, peer);
  if (!late.ok()) return late.status();
  return fail({Code::kTimeout, describe() + ": could not connect to " + comm_.describe_peer(peer) + ": " + status.message() + late.value() +
                                   " (timeout, TUTTI_TIMEOUT)"});
}

Status Lane::fail_died(int peer, PeerState how) {
  const char* const what = how == PeerState::kLost ? " does not answer any more: its host has vanished or is cut off (TUTTI_HEARTBEAT)"
                                                   : " died: see what its process said last";
  const std::string sentence = comm_.describe_peer(peer) + what;
  comm_.health().report({.kind = Failure::Kind::kDied, .culprit = peer, .sentence = sentence});
  return fail_quietly({Code::kRemote, describe() + ": " + sentence});
}

Status Lane::fail_heard(const Failure& failure) {
  return fail_quietly({failure.code(), describe() + ": " + failure.sentence});
}

// Ranks in different calls may wait for each other without a message between them.
Status Lane::look_for_mismatch(const WaitingFor& waiting, double waited_s) {
  Health& health = comm_.health();
  if (probe_ != 0) {
    const std::vector<Answer> answers = health.answers(probe_);
    if (!answers.empty()) {
      health.forget(std::exchange(probe_, 0));
      if (const auto difference = health.difference(answers.front())) return fail_mismatch(probed_, *difference);
    }
  }
  if (waited_s < next_probe_s_) return {};
  next_probe_s_ = 2 * waited_s;
  if (probe_ != 0) health.forget(probe_);
  probed_ = waiting.peer;
  probe_ = health.ask(probed_);
  return {};
}

Status Lane::fail_mismatch(int peer, const Health::Difference& difference) {
  const std::string sentence = mismatch_sentence(comm_.describe_peer(comm_.rank_), describe_call(difference.mine, difference.number),
                                                 comm_.describe_peer(peer), describe_call(difference.theirs, difference.number));
  comm_.health().report({.kind = Failure::Kind::kMismatch, .culprit = peer, .sentence = sentence});
  return fail_quietly({Code::kInvalidUsage, describe() + ": " + sentence});
}

// A message of another call came: what is the sender's?
Status Lane::resolve_suspicion() {
  const std::vector<Answer> answers = comm_.health().answers(probe_);
  if (answers.empty()) return seconds_since(asked_at_) < kAnswersWithin_s ? Status() : fail_unexplained(nullptr);
  const auto difference = is_mail() ? std::nullopt : comm_.health().difference(answers.front());
  return difference ? fail_mismatch(suspect_, *difference) : fail_unexplained(&answers.front());
}

Status Lane::fail_unexplained(const Answer* answer) {
  std::string sentence = comm_.describe_peer(suspect_) + " sent data of another call";
  if (is_mail()) {
    std::string mine;
    for (const PointToPoint& call : current_->calls) {
      if (call.peer == suspect_ && !call.is_send && mine.size() < 200)
        mine += (mine.empty() ? "" : ", ") + std::to_string(call.count) + " x " + type_name(call.type);
    }
    sentence += ": " + comm_.describe_peer(comm_.rank_) + " receives " + mine + " from it";
    if (answer != nullptr && !answer->mail.empty()) sentence += ", it called " + answer->mail;
    sentence += ": a send and its receive must have equal counts and types, and meet in the order of the calls";
  } else {
    if (answer != nullptr) {
      const bool same = answer->calls > number_;
      sentence +=
          same ? " although both are in " + describe_call(shape_, number_) + ": their v-counts do not match" : ": it " + answer->doing;
    }
    sentence +=
        ": all ranks must make the same calls in the same order, with equal counts, types, reductions and roots (and v-counts that match)";
  }
  comm_.health().report(
      {.kind = Failure::Kind::kMismatch, .culprit = suspect_, .sentence = "seen by " + comm_.describe_peer(comm_.rank_) + ": " + sentence});
  return fail_quietly({Code::kInvalidUsage, describe() + ": " + sentence});
}

Status Lane::look_at_time(const WaitingFor& waiting, double waited_s) {
  const Config& config = comm_.config_;
  Health& health = comm_.health();
  if (config.timeout_s > 0 && waited_s >= config.timeout_s) {
    if (census_ == 0) {
      if (!leaves_to_others_ && health.somebody_asks(kFindingWithin_s)) {
        leaves_to_others_ = true;
        asked_at_ = Clock::now();
      }
      if (leaves_to_others_ && seconds_since(asked_at_) < kFindingWithin_s) return {};
      asked_at_ = Clock::now();
      census_ = health.ask(Health::kEverybody);
      return {};
    }
    const std::vector<Answer> answers = health.answers(census_);
    const bool all = answers.size() + 1 == static_cast<size_t>(comm_.nranks_);
    return all || seconds_since(asked_at_) >= kAnswersWithin_s ? fail_timeout(waiting, waited_s, answers) : Status();
  }
  if (census_ != 0) health.forget(std::exchange(census_, 0));  // it has moved since
  if (!warned_ && config.warn_after_s > 0 && waited_s >= config.warn_after_s) {
    warned_ = true;
    log_warn(describe() + ": waiting for " +
             (checking_ ? "other ranks to bring this call (TUTTI_CHECK)" : comm_.describe_peer(waiting.peer)) + " for " +
             seconds_text(waited_s));
  }
  return {};
}

// Of those who never came to this call, what each does instead: a sentence, with its full stop before it. An error has ended the operation:
// somebody is in another call. `waited_for`: the only one that counts, where this is mail; if it waits itself, the cause is among those who
// are in no call.
Result<std::string> Lane::who_is_late(const std::vector<Answer>& answers, int waited_for) {
  std::map<int, const Answer*> by_rank;
  for (const Answer& answer : answers) by_rank[answer.rank] = &answer;
  const auto peer = by_rank.find(waited_for);
  const bool it_waits = is_mail() && peer != by_rank.end() && peer->second->inside;
  std::map<std::string, std::vector<int>> late, outside;  // by what they do
  for (int rank = 0; rank < comm_.nranks_; ++rank) {
    if (rank == comm_.rank_) continue;
    const auto found = by_rank.find(rank);
    if (found == by_rank.end()) {
      late["does not answer (its process is stopped, or it is cut off)"].push_back(rank);
    } else if (is_mail() ? rank == waited_for : found->second->calls <= number_ || found->second->left) {
      late[found->second->doing].push_back(rank);
    } else if (it_waits && !found->second->inside) {
      outside[found->second->doing].push_back(rank);
    } else if (const auto difference = is_mail() ? std::nullopt : comm_.health().difference(*found->second)) {
      return fail_mismatch(rank, *difference);
    }
  }
  std::string text = late.empty() ? ". All ranks are in this call" : ". Who never came to this call: " + list_groups(late);
  if (!outside.empty()) text += ". Who is in no call: " + list_groups(outside);
  return text;
}

Status Lane::fail_timeout(const WaitingFor& waiting, double waited_s, const std::vector<Answer>& answers) {
  const Result<std::string> late = who_is_late(answers, waiting.peer);
  if (!late.ok()) return late.status();
  std::string text = describe() + ": waited " + seconds_text(waited_s) + " for ";
  if (checking_) {
    text += "all ranks to bring this call (TUTTI_CHECK)";
  } else {
    const auto found = std::find_if(answers.begin(), answers.end(), [&](const Answer& each) { return each.rank == waiting.peer; });
    text += comm_.describe_peer(waiting.peer);
    text += found == answers.end()                  ? ", which does not answer"
            : !is_mail() && found->calls <= number_ ? ", which never came to this call"
                                                    : ", which waits for others itself, or is stuck";
  }
  text += late.value();
  if (!checking_) {
    text += std::string(" (") + (waiting.for_credit ? "credit" : "data") + ", channel " + std::to_string(waiting.channel) + ", step " +
            std::to_string(waiting.instruction) + ")";
  }
  return fail({Code::kTimeout, text + " (timeout, TUTTI_TIMEOUT)"});
}

}  // namespace tutti
