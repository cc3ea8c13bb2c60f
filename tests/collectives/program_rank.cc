#include "program_rank.h"

#include <atomic>
#include <cstdio>
#include <list>
#include <optional>

#include "random.h"
#include "rank_call.h"

namespace tutti::test {
namespace {

constexpr int kStreams = 3;
constexpr int kNull = kStreams;       // instead of a stream's index: the NULL stream
constexpr size_t kMostPending = 24;   // operations in flight of a rank, then it synchronizes
constexpr uint64_t kLocal = 0x10ca1;  // sets a rank's own choices apart from the common ones

// An operation in flight.
struct Pending {
  int step;
  int slot;
  int stream;
  std::optional<RankCall> call;
  std::optional<RankMail> mail;

  Finding check() const { return call ? call->check() : mail->check(); }
};

class ProgramRank {
 public:
  ProgramRank(const RandomProgram& program, const ProgramOptions& options, int rank, std::atomic<bool>& stop)
      : program_(program), options_(options), rank_(rank), stop_(stop) {}

  // Returns the first problem and sets `failed_step`.
  Finding run(const tuttiUniqueId& id, int& failed_step, ProgramCounts& counts);

 private:
  Finding join(const tuttiUniqueId& id);
  Finding take_step(int index);
  Finding collective(int index, const Step& step);
  Finding group(int index);
  Finding mail(int index, const Step& step);
  Finding split(int index, const Step& step);
  Finding destroy(const Step& step);
  // Waits for a stream, or for all, and checks what ran there.
  Finding synchronize(int stream);
  Finding synchronize_all();
  // Checks and forgets the operations that `is_complete(pending)`.
  template <class IsComplete>
  Finding settle(const IsComplete& is_complete);
  Pending& add_call(int index, int slot, const Place& place, int stream, uint64_t seed);
  Pending& add_mail(int index, int slot, const Place& place, int stream, const std::vector<Message>& messages);
  Member& member(int slot) { return members_[static_cast<size_t>(slot)]; }
  tuttiStream_t stream(int index) const { return index == kNull ? nullptr : streams_[static_cast<size_t>(index)]; }
  int any_stream() { return own_.one_in(2) ? kNull : own_.below(kStreams); }
  void leave();

  const RandomProgram& program_;
  const ProgramOptions& options_;
  int rank_;
  std::atomic<bool>& stop_;
  Random own_{0};  // this rank's choices in the step
  Device* device_ = nullptr;  // nullptr: the host
  std::array<Member, kSlots> members_;
  std::array<tuttiStream_t, kStreams> streams_ = {};
  std::list<Pending> pending_;
  Finding stream_errors_;  // after a failure: what the streams have to say of it
  ProgramCounts counts_;
};

Finding ProgramRank::run(const tuttiUniqueId& id, int& failed_step, ProgramCounts& counts) {
  failed_step = 0;
  Finding found = join(id);
  for (int i = 0; found.empty() && i < program_.steps() && !stop_; ++i) {
    failed_step = i;
    if (options_.verbose && rank_ == 0) std::fprintf(stderr, "step %d: %s\n", i, program_.describe(i).c_str());
    own_ = Random(mixed(mixed(options_.seed ^ kLocal, static_cast<uint64_t>(i)), static_cast<uint64_t>(rank_)));
    found = take_step(i);
  }
  if (found.empty() && !stop_) found = synchronize_all();
  if (!found.empty()) {
    stop_ = true;
    leave();
    return found + stream_errors_;
  }
  leave();
  counts = counts_;
  return found;
}

Finding ProgramRank::join(const tuttiUniqueId& id) {
  for (tuttiStream_t& each : streams_) {
    if (tuttiStreamCreate(&each) != tuttiSuccess) return expect_success(tuttiSystemError, "make a stream");
  }
  tuttiConfig_t config = TUTTI_CONFIG_INITIALIZER;
  config.timeout = options_.timeout_s;
  if (!options_.devices.empty()) {
    device_ = accelerator_of(options_.devices[static_cast<size_t>(rank_) % options_.devices.size()]);
    if (device_ != nullptr) config.device = device_->name();
  }
  member(0).device = device_;
  const tuttiResult_t joined = tuttiCommInitRankConfig(&member(0).comm, options_.nranks, id, rank_, &config);
  return joined != tuttiSuccess ? expect_success(joined, "join") : member(0).create_reductions(rank_);
}

// A rank that found nothing wrong may still have operations in flight whose peers gave up: abort ends them.
void ProgramRank::leave() {
  for (Member& each : members_) static_cast<void>(stop_ ? tuttiCommAbort(each.comm) : tuttiCommDestroy(each.comm));
  for (const tuttiStream_t each : streams_) {
    stream_errors_ += expect_success(tuttiStreamSynchronize(each), "a stream in the end");
    static_cast<void>(tuttiStreamDestroy(each));
  }
}

Finding ProgramRank::take_step(int index) {
  const Step& step = program_.step(index);
  Finding found;
  switch (step.what) {
    case Step::What::kCollective: found = collective(index, step); break;
    case Step::What::kGroup: found = group(index); break;
    case Step::What::kMail: found = mail(index, step); break;
    case Step::What::kSplit: found = split(index, step); break;
    case Step::What::kDestroy: found = destroy(step); break;
    case Step::What::kSynchronize: return synchronize_all();
  }
  if (!found.empty()) return found;
  if (pending_.size() > kMostPending) return synchronize_all();
  return own_.one_in(8) ? synchronize(own_.below(kStreams)) : Finding();
}

Pending& ProgramRank::add_call(int index, int slot, const Place& place, int stream, uint64_t seed) {
  const Call call = random_call(mixed(seed, static_cast<uint64_t>(place.group)), place.nranks);
  Pending& pending = pending_.emplace_back(Pending{.step = index, .slot = slot, .stream = stream, .call = {}, .mail = {}});
  pending.call.emplace(std::make_shared<const Oracle>(call, place.nranks), place.rank, random_layout(own_.next()));
  ++counts_.collectives;
  return pending;
}

Pending& ProgramRank::add_mail(int index, int slot, const Place& place, int stream, const std::vector<Message>& messages) {
  Pending& pending = pending_.emplace_back(Pending{.step = index, .slot = slot, .stream = stream, .call = {}, .mail = {}});
  pending.mail.emplace(messages, place.rank, own_.next() | 1);
  counts_.messages += pending.mail->calls();
  return pending;
}

Finding ProgramRank::collective(int index, const Step& step) {
  const Place place = program_.place(index, step.slot, rank_);
  if (place.group < 0) return {};
  Pending& pending = add_call(index, step.slot, place, any_stream(), step.seed);
  const tuttiResult_t result = pending.call->issue(member(step.slot), stream(pending.stream));
  if (result != tuttiSuccess) return expect_success(result, "the call", member(step.slot).comm);
  if (pending.stream != kNull) return {};
  return settle([&](const Pending& one) { return one.slot == step.slot; });  // a NULL stream's call follows all
}

// The calls of one slot's collectives are made in the items' order; everything else in an order of this rank's own.
Finding ProgramRank::group(int index) {
  std::vector<std::vector<Pending*>> collectives(kSlots);
  std::vector<std::pair<Pending*, size_t>> mails;  // and which of its calls
  std::vector<int> turns;                          // a slot's next collective, or kSlots: the next call of mail
  bool inlined[kSlots] = {};
  for (const GroupItem& item : program_.group_items(index)) {
    const Place place = program_.place(index, item.slot, rank_);
    if (place.group < 0) continue;
    const int on = any_stream();
    if (!item.is_mail) {
      inlined[item.slot] = inlined[item.slot] || on == kNull;
      collectives[static_cast<size_t>(item.slot)].push_back(&add_call(index, item.slot, place, on, item.seed));
      turns.push_back(item.slot);
      continue;
    }
    const uint64_t seed = mixed(item.seed, static_cast<uint64_t>(place.group));
    Pending& pending = add_mail(index, item.slot, place, on, random_messages(seed, place.nranks));
    inlined[item.slot] = inlined[item.slot] || (on == kNull && pending.mail->calls() != 0);
    for (size_t call = 0; call < pending.mail->calls(); ++call) mails.emplace_back(&pending, call);
    turns.insert(turns.end(), pending.mail->calls(), kSlots);
  }
  own_.shuffle(turns);
  Finding found = expect_success(tuttiGroupStart(), "group start");
  size_t next[kSlots + 1] = {};
  for (const int turn : turns) {
    const size_t i = next[turn]++;
    Pending& pending = turn == kSlots ? *mails[i].first : *collectives[static_cast<size_t>(turn)][i];
    Member& on = member(pending.slot);
    // The calls of one mail may lie on any streams: the group completes as one. The first is where it will be waited for.
    const auto mail_stream = [&](size_t call) { return stream(call == 0 ? pending.stream : any_stream()); };
    const tuttiResult_t result = turn == kSlots ? pending.mail->issue(mails[i].second, on, mail_stream(mails[i].second))
                                                : pending.call->issue(on, stream(pending.stream));
    found += expect_success(result, "a call of the group", on.comm);
  }
  found += expect_success(tuttiGroupEnd(), "group end");
  if (!found.empty()) return found;
  // What was submitted before a NULL stream's operation is complete, and so are the group's own of NULL streams.
  return settle([&](const Pending& one) { return inlined[one.slot] && (one.step != index || one.stream == kNull); });
}

Finding ProgramRank::mail(int index, const Step& step) {
  const Place place = program_.place(index, step.slot, rank_);
  if (place.group < 0) return {};
  const std::vector<Message> messages = messages_of_one_pair(mixed(step.seed, static_cast<uint64_t>(place.group)), place.nranks);
  const int on = any_stream();
  for (const Message& message : messages) {
    if (message.from != place.rank && message.to != place.rank) continue;
    Pending& pending = add_mail(index, step.slot, place, on, {message});
    const Finding found = pending.mail->issue_all(member(step.slot), {stream(on)});
    if (!found.empty()) return found;
  }
  const bool took_part = !pending_.empty() && pending_.back().step == index;
  if (on != kNull || !took_part) return {};
  return settle([&](const Pending& one) { return one.slot == step.slot; });
}

Finding ProgramRank::split(int index, const Step& step) {
  const Place place = program_.place(index, step.parent, rank_);
  if (place.group < 0) return {};
  const SplitChoice choice = split_choice(step.seed, place);
  Member& child = member(step.slot);
  child = {.device = device_};
  const tuttiResult_t result = tuttiCommSplit(member(step.parent).comm, choice.color, choice.key, &child.comm, nullptr);
  if (result != tuttiSuccess) return expect_success(result, "the split", member(step.parent).comm);
  if ((child.comm == nullptr) != (choice.color == TUTTI_SPLIT_NOCOLOR)) return "the split gave the wrong ranks a communicator";
  if (child.comm == nullptr) return {};
  int rank = 0;
  if (tuttiCommUserRank(child.comm, &rank) != tuttiSuccess) return "the child does not know its rank";
  return child.create_reductions(rank);
}

// Waits for what is in flight on the communicator, which is then complete.
Finding ProgramRank::destroy(const Step& step) {
  const Finding found = expect_success(tuttiCommDestroy(member(step.slot).comm), "destroy");
  member(step.slot) = {};
  return found.empty() ? settle([&](const Pending& one) { return one.slot == step.slot; }) : found;
}

Finding ProgramRank::synchronize(int which) {
  const tuttiResult_t result = tuttiStreamSynchronize(stream(which));
  if (result != tuttiSuccess) return expect_success(result, "synchronize");
  return settle([&](const Pending& one) { return one.stream == which; });
}

Finding ProgramRank::synchronize_all() {
  Finding found;
  for (int i = 0; i < kStreams && found.empty(); ++i) found = synchronize(i);
  return found;
}

template <class IsComplete>
Finding ProgramRank::settle(const IsComplete& is_complete) {
  for (auto one = pending_.begin(); one != pending_.end();) {
    if (!is_complete(*one)) {
      ++one;
      continue;
    }
    const Finding found = one->check();
    if (!found.empty()) return "the operation of step " + std::to_string(one->step) + ": " + found;
    one = pending_.erase(one);
  }
  return {};
}

}  // namespace

Finding run_program(const ProgramOptions& options, ProgramCounts* counts) {
  const RandomProgram program(options);
  tuttiUniqueId id;
  if (const tuttiResult_t result = tuttiGetUniqueId(&id); result != tuttiSuccess) return expect_success(result, "get unique id");
  std::atomic<bool> stop{false};
  std::mutex mutex;
  Finding first;  // guarded by mutex, and so are `counts`
  static_cast<void>(team().run(options.nranks, [&](int rank) -> Finding {
    int step = 0;
    ProgramCounts own;
    const Finding found = ProgramRank(program, options, rank, stop).run(id, step, own);
    std::lock_guard lock(mutex);
    if (counts != nullptr) {
      counts->collectives += own.collectives;
      counts->messages += own.messages;
    }
    if (found.empty() || !first.empty()) return found;
    first = "rank " + std::to_string(rank) + " at step " + std::to_string(step) + " (" + program.describe(step) + "): " + found +
            "\nreplay: random_programs --seed " + std::to_string(options.seed) + " --ranks " + std::to_string(options.nranks) +
            (options.devices.empty() ? "" : " --devices " + options.devices) + " --steps " + std::to_string(step + 1) + " --verbose";
    return found;
  }));
  return first;
}

}  // namespace tutti::test
