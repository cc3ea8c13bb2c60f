#include "tests/api/failures/judge.h"

#include <sys/wait.h>

#include <algorithm>
#include <cctype>

namespace tutti::failures {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// "3" where no digit is beside it.
bool has_number(const std::string& text, int number) {
  const std::string digits = std::to_string(number);
  for (size_t at = text.find(digits); at != std::string::npos; at = text.find(digits, at + 1)) {
    const size_t end = at + digits.size();
    const bool begins = at == 0 || std::isdigit(static_cast<unsigned char>(text[at - 1])) == 0;
    if (begins && (end == text.size() || std::isdigit(static_cast<unsigned char>(text[end])) == 0)) return true;
  }
  return false;
}

// Behind `before`, of "rank 3: ...; ranks 4, 5: ..." the numbers.
bool is_listed(const std::string& sentence, const std::string& before, int rank) {
  const size_t at = sentence.find(before);
  if (at == std::string::npos) return false;
  std::string list = sentence.substr(at + before.size());
  for (size_t from = 0; from < list.size();) {  // groups are "rank(s) NUMBERS: words", parted by "; "
    const size_t colon = list.find(':', from);
    if (has_number(list.substr(from, colon - from), rank)) return true;
    from = colon == std::string::npos ? colon : list.find("; ", colon);
    if (from != std::string::npos) from += 2;
  }
  return false;
}

std::string full_name(const Ended& ended, int rank) {
  return "rank " + std::to_string(rank) + " (host " + ended.host + ", pid " + std::to_string(ended.pids[static_cast<size_t>(rank)]) + ")";
}

// While the ranks meet, a rank that never came is known by its number only, and the listener's process as what it is.
bool named_in_init(const Scenario& s, const Ended& ended, const std::string& sentence, int culprit) {
  if (contains(sentence, full_name(ended, culprit))) return true;
  if (is_listed(sentence, "s of the first: ", culprit)) return true;
  return s.failed(0) && (contains(sentence, "the rendezvous at ") || contains(sentence, "the process that made the unique id"));
}

bool named(const Scenario& s, const Ended& ended, const Report& report, int culprit) {
  const std::string sentence = report.sentence;
  if (report.in_init) return named_in_init(s, ended, sentence, culprit);
  switch (s.kind) {
    case Kind::kKill: return contains(sentence, full_name(ended, culprit) + " died");
    case Kind::kCable: return contains(sentence, full_name(ended, culprit) + " does not answer any more");
    case Kind::kAbort: return contains(sentence, full_name(ended, culprit) + " was aborted by its program");
    case Kind::kOtherCall: return contains(sentence, full_name(ended, culprit));
    case Kind::kStop:
    case Kind::kNeverCalls:
      return is_listed(sentence, "Who never came to this call: ", culprit) || is_listed(sentence, "Who is in no call: ", culprit);
  }
  return false;
}

bool names_the_culprit(const Scenario& s, const Ended& ended, const Report& report, int rank) {
  if (s.kind != Kind::kCable) return named(s, ended, report, s.victim);
  for (int other = 0; other < s.ranks; ++other) {  // of a cut, each side says who is on the other
    if (s.failed(other) != s.failed(rank) && named(s, ended, report, other)) return true;
  }
  return report.in_init && contains(report.sentence, "the rendezvous at ");
}

bool right_result(const Scenario& s, const Report& report) {
  const int result = report.result;
  const bool silence = result == tuttiTimeout || result == tuttiRemoteError;
  const bool no_way = s.kind == Kind::kCable && result == tuttiSystemError;  // "no route to host"
  if (report.in_init) return silence || no_way;
  switch (s.kind) {
    case Kind::kKill:
    case Kind::kAbort:
    case Kind::kCable: return result == tuttiRemoteError;
    case Kind::kOtherCall: return result == tuttiInvalidUsage;
    case Kind::kStop:
    case Kind::kNeverCalls: return silence;
  }
  return false;
}

std::string judge_survivor(const Scenario& s, const Ended& ended, const Report& report, int rank) {
  std::string wrong;
  const auto say = [&](const std::string& what) { wrong += "  rank " + std::to_string(rank) + " " + what + "\n"; };
  if (!right_result(s, report)) say("got result " + std::to_string(report.result));
  if (!names_the_culprit(s, ended, report, rank)) say("does not name the culprit");
  if (report.failed_at - ended.injured_at > detection_bound_s(s)) say("heard of it too late");
  if (!report.inputs_intact) say("has an input that was changed");
  if (report.in_init) return wrong;
  if (report.async != report.result) say("has the async error " + std::to_string(report.async));
  if (report.repeated != report.result) say("got " + std::to_string(report.repeated) + " from another call");
  if (report.repeated_s > 1) say("was kept waiting by another call");
  if (report.released_s > kRelease_s) say("took too long to free, or could not");
  return wrong;
}

// The victim, where it still can say anything.
std::string judge_victim(const Scenario& s, const Ended& ended, const Report& report) {
  std::string wrong;
  const auto say = [&](const std::string& what) { wrong += "  the victim " + what + "\n"; };
  if (!report.inputs_intact) say("has an input that was changed");
  if (s.kind == Kind::kAbort) {
    if (report.result != tuttiAborted) say("got " + std::to_string(report.result) + " from the call that it aborted");
    if (report.repeated != tuttiAborted) say("could not abort: " + std::to_string(report.repeated));
    if (report.released_s > kRelease_s) say("was kept waiting by abort");
    if (report.failed_at - ended.injured_at > detection_bound_s(s)) say("was released too late");
    return wrong;
  }
  if (s.kind == Kind::kOtherCall) return judge_survivor(s, ended, report, s.victim);
  if (report.result == tuttiSuccess && !(s.kind == Kind::kNeverCalls && s.moment == Moment::kInit)) say("never heard that it is out");
  if (report.released_s > kRelease_s) say("took too long to free, or could not");
  return wrong;
}

}  // namespace

std::string judge(const Scenario& s, const Board& board, const Ended& ended) {
  std::string wrong;
  for (int rank = 0; rank < s.ranks; ++rank) {
    const Report& report = board.reports[rank];
    const bool gone = rank == s.victim && (s.kind == Kind::kKill || (s.kind == Kind::kStop && !s.resumed));
    const int status = ended.statuses[static_cast<size_t>(rank)];
    if (gone) continue;
    if (status == -1) {
      wrong += "  rank " + std::to_string(rank) + " HANGS\n";
    } else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
      wrong += "  rank " + std::to_string(rank) + " crashed: status " + std::to_string(status) + "\n";
    } else {
      const bool is_victim = rank == s.victim && s.kind != Kind::kCable;
      wrong += is_victim ? judge_victim(s, ended, report) : judge_survivor(s, ended, report, rank);
    }
  }
  return wrong;
}

}  // namespace tutti::failures
