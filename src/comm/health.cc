#include "comm/health.h"

#include <algorithm>

#include "comm/tree_node.h"

namespace tutti {
namespace {

enum Kind : uint16_t { kFailure = 1, kLeft = 2, kAsk = 3, kAnswer = 4, kCheck = 5, kPassed = 6 };

constexpr size_t kMostSentenceBytes = 2000;
constexpr size_t kKeptMail = 4;
constexpr size_t kMostMailTold = 4;
constexpr size_t kMostNamed = 8;

void put(ByteWriter& writer, const CallShape& shape) {
  writer.u64(shape.kinds);
  writer.u64(shape.count);
}

// Nothing where it describes no call.
std::optional<CallShape> get_shape(ByteReader& reader) {
  CallShape shape;
  shape.kinds = reader.u64();
  shape.count = reader.u64();
  return reader.ok() && is_a_call(shape) ? std::optional(shape) : std::nullopt;
}

}  // namespace

std::string mismatch_sentence(const std::string& one, const std::string& ones_call, const std::string& other,
                              const std::string& others_call) {
  return "ranks made different calls: " + one + " called " + ones_call + ", " + other + " called " + others_call +
         ": all ranks must make the same calls in the same order, with equal counts, types, reductions and roots (and v-counts that match)";
}

std::string list_groups(const std::map<std::string, std::vector<int>>& ranks_by_text) {
  std::string text;
  size_t groups = 0;
  for (const auto& [doing, ranks] : ranks_by_text) {
    if (++groups > kMostNamed) return text + "; and others";
    text += (text.empty() ? "" : "; ") + std::string(ranks.size() == 1 ? "rank " : "ranks ");
    for (size_t i = 0; i < std::min(ranks.size(), kMostNamed); ++i) text += (i == 0 ? "" : ", ") + std::to_string(ranks[i]);
    if (ranks.size() > kMostNamed) text += " and " + std::to_string(ranks.size() - kMostNamed) + " more";
    text += ": " + doing;
  }
  return text;
}

Health::Health(const ControlTree& tree, uint32_t context, int rank, std::vector<std::string> who, std::vector<int> in_tree)
    : node_(tree.node()), context_(context), rank_(rank), who_(std::move(who)), in_tree_(std::move(in_tree)), left_(who_.size(), false) {
  for (int each = 0; each < static_cast<int>(who_.size()); ++each) {
    if (static_cast<int>(in_tree_.size()) == each) in_tree_.push_back(each);
    rank_of_[in_tree_[static_cast<size_t>(each)]] = each;
  }
}

// --- failures ---

bool Health::note(const Failure& failure, bool own) {
  std::lock_guard lock(mutex_);
  if (failure_) return false;
  failure_ = failure;
  own_ = own;
  failed_.store(true, std::memory_order_release);
  return true;
}

std::optional<Failure> Health::failure_of_others() const {
  if (!failed()) return std::nullopt;
  std::lock_guard lock(mutex_);
  return own_ ? std::nullopt : failure_;
}

void Health::report(Failure failure) {
  tell(std::move(failure), true);
}

void Health::tell(Failure failure, bool own) {
  failure.sentence.resize(std::min(failure.sentence.size(), kMostSentenceBytes));
  if (!note(failure, own)) return;
  ByteWriter writer;
  writer.u16(static_cast<uint16_t>(failure.kind));
  writer.u32(static_cast<uint32_t>(failure.culprit));
  writer.text(failure.sentence);
  flood(kFailure, writer.take());
}

void Health::on_died(int tree_rank, const std::string& how) {
  const auto member = rank_of_.find(tree_rank);
  if (member == rank_of_.end() || has_left(member->second)) return;
  const int rank = member->second;
  note({.kind = Failure::Kind::kDied, .culprit = rank, .sentence = name_of(rank) + " " + how}, false);
}

void Health::leave() {
  {
    std::lock_guard lock(mutex_);
    const auto self = static_cast<size_t>(rank_);
    if (left_[self]) return;
    left_[self] = true;
  }
  flood(kLeft, {});
}

bool Health::has_left(int rank) const {
  std::lock_guard lock(mutex_);
  return left_[static_cast<size_t>(rank)];
}

void Health::on_message(int from, uint16_t kind, std::span<const std::byte> payload) {
  const auto member = rank_of_.find(from);
  if (member != rank_of_.end()) hear(member->second, kind, payload);
}

void Health::send(int to, uint16_t kind, Bytes payload) {
  node_->post(
      {.context = context_, .to = static_cast<uint32_t>(in_tree_[static_cast<size_t>(to)]), .kind = kind, .payload = std::move(payload)});
}

void Health::flood(uint16_t kind, Bytes payload) {
  node_->post({.context = context_, .to = kToAll, .kind = kind, .payload = std::move(payload)});
}

void Health::hear(int from, uint16_t kind, std::span<const std::byte> payload) {
  ByteReader reader(payload);
  switch (kind) {
    case kFailure: {
      const Failure failure{
          .kind = static_cast<Failure::Kind>(reader.u16()), .culprit = static_cast<int>(reader.u32()), .sentence = reader.text()};
      if (reader.ok() && failure.culprit >= 0 && static_cast<size_t>(failure.culprit) < who_.size()) note(failure, false);
      return;
    }
    case kLeft: {
      std::lock_guard lock(mutex_);
      left_[static_cast<size_t>(from)] = true;
      return;
    }
    case kAsk: return answer(from, payload);
    case kAnswer: return take_answer(from, payload);
    case kCheck: return compare(from, payload);
    case kPassed: {
      const uint64_t number = reader.u64();
      std::lock_guard lock(mutex_);
      passed_.insert(number);
      return;
    }
    default: return;  // of a later version: none of ours
  }
}

// --- who is where ---

void Health::begin_mail(uint64_t number, std::span<const PointToPoint> calls) {
  std::lock_guard lock(mutex_);
  if (mail_.size() < kKeptMail) mail_.resize(kKeptMail);
  Mail& mail = mail_[number % kKeptMail];
  mail.number = number + 1;
  mail.ended = false;
  mail.calls.assign(calls.begin(), calls.end());
}

void Health::end_mail(uint64_t number) {
  std::lock_guard lock(mutex_);
  if (Mail& mail = mail_[number % kKeptMail]; mail.number == number + 1) mail.ended = true;
}

std::string Health::mail_with(int rank) const {
  std::lock_guard lock(mutex_);
  std::string text;
  size_t told = 0;
  for (const Mail& mail : mail_) {
    for (const PointToPoint& call : mail.calls) {
      if (call.peer != rank) continue;
      if (++told > kMostMailTold) return text + ", and more";
      text += (text.empty() ? "" : ", ") + std::string(call.is_send ? "send" : "receive") + " of " + std::to_string(call.count) + " x " +
              type_name(call.type);
    }
  }
  return text;
}

Health::Doing Health::doing() const {
  if (has_left(rank_)) return {.text = "has left the communicator"};
  std::string mail;
  {
    std::lock_guard lock(mutex_);
    for (const Mail& each : mail_) {
      if (each.number != 0 && !each.ended)
        mail = "sendrecv number " + std::to_string(each.number) + " (" + std::to_string(each.calls.size()) + " sends and receives)";
    }
  }
  const std::optional<LoggedCall> latest = calls_.latest();
  const bool inside = latest && !latest->ended;
  std::string text;
  if (inside) text = "is in " + describe_call(latest->shape, latest->number);
  if (!mail.empty()) text += (inside ? " and " : "is in ") + mail;
  if (!text.empty()) return {.inside = true, .text = std::move(text)};
  return {.text = latest ? "is outside, its last collective was " + describe_call(latest->shape, latest->number)
                         : "has called no collective yet"};
}

uint64_t Health::ask(int whom) {
  uint64_t question = 0;
  {
    std::lock_guard lock(mutex_);
    question = ++questions_;
    answers_[question];
  }
  ByteWriter writer;
  writer.u64(question);
  writer.u16(whom == kEverybody ? 1 : 0);
  if (whom == kEverybody) {
    flood(kAsk, writer.take());
  } else {
    send(whom, kAsk, writer.take());
  }
  return question;
}

void Health::answer(int from, std::span<const std::byte> payload) {
  ByteReader reader(payload);
  const uint64_t question = reader.u64();
  const bool everybody = reader.u16() != 0;
  if (!reader.ok()) return;
  if (everybody) {
    std::lock_guard lock(mutex_);
    asked_by_others_ = Clock::now();
  }
  const std::vector<LoggedCall> recent = calls_.all();
  ByteWriter writer;
  writer.u64(question);
  writer.u16(static_cast<uint16_t>(recent.size()));
  for (const LoggedCall& call : recent) {
    writer.u64(call.number);
    put(writer, call.shape);
  }
  writer.u64(recent.empty() ? 0 : recent.back().number + 1);
  writer.u16(has_left(rank_) ? 1 : 0);
  const Doing doing = this->doing();
  writer.u16(doing.inside ? 1 : 0);
  writer.text(doing.text);
  writer.text(mail_with(from));
  send(from, kAnswer, writer.take());
}

void Health::take_answer(int from, std::span<const std::byte> payload) {
  ByteReader reader(payload);
  const uint64_t question = reader.u64();
  Answer answer{.rank = from};
  for (uint16_t left = reader.u16(); left != 0 && reader.ok(); --left) {
    const uint64_t number = reader.u64();
    const std::optional<CallShape> shape = get_shape(reader);
    if (!shape) return;
    answer.recent.push_back({.number = number, .shape = *shape});
  }
  answer.calls = reader.u64();
  answer.left = reader.u16() != 0;
  answer.inside = reader.u16() != 0;
  answer.doing = reader.text();
  answer.mail = reader.text();
  if (!reader.ok()) return;
  std::lock_guard lock(mutex_);
  if (const auto found = answers_.find(question); found != answers_.end()) found->second.push_back(std::move(answer));
}

std::optional<Health::Difference> Health::difference(const Answer& answer) const {
  for (const LoggedCall& theirs : answer.recent) {
    const std::optional<LoggedCall> mine = calls_.find(theirs.number);
    if (mine && mine->shape != theirs.shape) return Difference{.number = theirs.number, .mine = mine->shape, .theirs = theirs.shape};
  }
  return std::nullopt;
}

std::vector<Answer> Health::answers(uint64_t question) const {
  std::lock_guard lock(mutex_);
  const auto found = answers_.find(question);
  return found == answers_.end() ? std::vector<Answer>() : found->second;
}

void Health::forget(uint64_t question) {
  std::lock_guard lock(mutex_);
  answers_.erase(question);
}

bool Health::somebody_asks(double seconds) const {
  std::lock_guard lock(mutex_);
  return asked_by_others_ && std::chrono::duration<double>(Clock::now() - *asked_by_others_).count() < seconds;
}

// --- TUTTI_CHECK ---

void Health::check(uint64_t number, const CallShape& shape, uint64_t counts_hash) {
  ByteWriter writer;
  writer.u64(number);
  put(writer, shape);
  writer.u64(counts_hash);
  send(0, kCheck, writer.take());
}

bool Health::passed(uint64_t number) {
  std::lock_guard lock(mutex_);
  return passed_.erase(number) != 0;
}

void Health::compare(int from, std::span<const std::byte> payload) {
  ByteReader reader(payload);
  const uint64_t number = reader.u64();
  const std::optional<CallShape> brought = get_shape(reader);
  const uint64_t hash = reader.u64();
  if (!reader.ok() || !brought || rank_ != 0) return;
  const CallShape& shape = *brought;
  std::unique_lock lock(mutex_);
  const auto [found, fresh] = checks_.try_emplace(number, Checked{.shape = shape, .hash = hash, .first = from});
  Checked& checked = found->second;
  if (checked.shape != shape || checked.hash != hash) {
    const Checked first = checked;
    lock.unlock();
    const bool counts = first.shape == shape;  // then only the v-counts differ
    return tell({.kind = Failure::Kind::kMismatch,
                 .culprit = from,
                 .sentence = mismatch_sentence(name_of(first.first), describe_call(first.shape, number), name_of(from),
                                               describe_call(shape, number) + (counts ? " with other v-counts" : ""))},
                false);
  }
  if (++checked.came != who_.size()) return;
  checks_.erase(found);
  passed_.insert(number);
  lock.unlock();
  ByteWriter writer;
  writer.u64(number);
  flood(kPassed, writer.take());
}

}  // namespace tutti
