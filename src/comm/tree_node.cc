#include "comm/tree_node.h"

#include <algorithm>

#include "base/log.h"

namespace tutti {
namespace {

constexpr auto kGoodbyeWait = std::chrono::seconds(2);
// At the deadline, who misses a child says so; who waits for its parent leaves the word to others so long.
constexpr auto kOthersSpeak = std::chrono::seconds(1);
// What the rendezvous tells of may come too late to matter: the table may be on its way.
constexpr auto kTableMayCome = std::chrono::milliseconds(200);
constexpr auto kReasonWithin = std::chrono::milliseconds(500);
constexpr size_t kMaxLineBytes = size_t{16} << 20;  // as join_rendezvous(): a sentence may list every rank
constexpr size_t kMaxUnheard = 1024;

size_t most_table_bytes(int nranks) {
  return static_cast<size_t>(nranks) * (kMaxJoinBytes + 12) + kMaxTreePayloadBytes + 64;
}

}  // namespace

Bytes encode_message(const TreeMessage& message) {
  ByteWriter writer;
  writer.u32(message.context);
  writer.u32(message.from);
  writer.u32(message.to);
  writer.u16(message.kind);
  writer.bytes(message.payload);
  return writer.take();
}

std::optional<TreeMessage> decode_message(std::span<const std::byte> body, int nranks) {
  ByteReader reader(body);
  TreeMessage message{.context = reader.u32(), .from = reader.u32(), .to = reader.u32(), .kind = reader.u16()};
  const auto payload = reader.bytes();
  message.payload.assign(payload.begin(), payload.end());
  const auto n = static_cast<uint32_t>(nranks);
  if (!reader.ok() || !reader.at_end() || message.from >= n || (message.to >= n && message.to != kToAll)) return std::nullopt;
  return message;
}

Bytes encode_part(const TablePart& part) {
  ByteWriter writer;
  writer.u32(static_cast<uint32_t>(part.size()));
  for (const auto& [rank, entry] : part) {
    writer.u32(static_cast<uint32_t>(rank));
    writer.u32(entry.position);
    writer.bytes(entry.bytes);
  }
  return writer.take();
}

bool decode_part(std::span<const std::byte> body, int nranks, TablePart& part) {
  ByteReader reader(body);
  for (uint32_t left = reader.u32(); left != 0 && reader.ok(); --left) {
    const uint32_t rank = reader.u32(), position = reader.u32();
    const auto bytes = reader.bytes();
    const auto n = static_cast<uint32_t>(nranks);
    if (!reader.ok() || rank >= n || position >= n || bytes.size() > kMaxJoinBytes) return false;
    if (!part.emplace(static_cast<int>(rank), TableEntry{position, Bytes(bytes.begin(), bytes.end())}).second) return false;
  }
  return reader.ok() && reader.at_end();
}

// --- joining ---

Status TreeNode::listen(Fd listener, const Key& key) {
  const std::weak_ptr<TreeNode> weak = weak_from_this();
  reception_ = std::make_unique<Reception>(
      loop_, std::move(listener), key, Role::kParent, Role::kChild, own_name() + "'s control listener",
      [weak](Reception::Guest guest) {
        if (const auto self = weak.lock()) self->admit(std::move(guest));
      },
      [](const Hello&, const Status& status) { log_warn(status.message()); });
  return reception_->start();
}

void TreeNode::take_line(Fd line, FrameDecoder decoder) {
  auto fd = std::make_shared<Fd>(std::move(line));
  auto read = std::make_shared<FrameDecoder>(std::move(decoder));
  loop_.post([self = shared_from_this(), fd, read] {
    if (self->phase_ != Phase::kGathering) return;
    self->line_ = Connection::make(self->loop_, std::move(*fd), std::move(*read));
    self->line_->hand_over(kMaxLineBytes, nullptr, nullptr);
    const std::weak_ptr<TreeNode> weak = self;
    const Status started = self->line_->start(
        [weak](Frame& frame) {
          if (const auto node = weak.lock()) node->hear_line(frame);
          return true;
        },
        nullptr);  // its process may end: all have their places
    if (!started.ok()) self->line_.reset();
  });
}

void TreeNode::hear_line(const Frame& frame) {
  if (frame.type != FrameType::kRefuse || phase_ != Phase::kGathering) return;
  const Status status = decode_refusal(frame.body, "the rendezvous");
  loop_.at(ControlLoop::Clock::now() + kTableMayCome, [self = shared_from_this(), status] { self->fail(status); });
}

void TreeNode::take_place(const Place& place, Bytes mine, Fd parent, FrameDecoder decoder) {
  // shared_ptr: std::function wants copyable tasks.
  auto fd = std::make_shared<Fd>(std::move(parent));
  auto read = std::make_shared<FrameDecoder>(std::move(decoder));
  loop_.post(
      [self = shared_from_this(), place, mine = std::move(mine), fd, read] { self->begin(place, mine, std::move(*fd), std::move(*read)); });
}

void TreeNode::begin(const Place& place, Bytes mine, Fd parent, FrameDecoder decoder) {
  if (phase_ != Phase::kGathering) {  // the rendezvous told of a failure meanwhile: the parent hears it too
    const auto connection = Connection::make(loop_, std::move(parent), std::move(decoder));
    if (place.parent < 0 || !connection->start(nullptr, nullptr).ok()) return;
    std::lock_guard lock(mutex_);
    return refuse(*connection, outcome_.value_or(Status(Code::kRemote, own_name() + " gave up")));
  }
  place_ = place;
  gathered_.emplace(rank(), TableEntry{place.position, std::move(mine)});
  if (place.parent >= 0) add_edge(place.parent, place.parent_name, Connection::make(loop_, std::move(parent), std::move(decoder)), false);
  for (Reception::Guest& guest : std::exchange(early_, {})) admit(std::move(guest));
  if (place.children.empty()) close_reception();
  gather_on();
}

void TreeNode::admit(Reception::Guest guest) {
  if (phase_ != Phase::kGathering) {
    std::lock_guard lock(mutex_);
    return refuse(*guest.connection, outcome_ && !outcome_->ok() ? *outcome_ : Status(Code::kRemote, own_name() + " has its children"));
  }
  if (!place_) {
    const size_t most = kTreeArity * 2;
    if (early_.size() == most) early_.pop_front();
    guest.connection->pause();
    guest.connection->hand_over(0, nullptr, nullptr);
    early_.push_back(std::move(guest));
    return;
  }
  const Hello& hello = guest.hello;
  const auto child = static_cast<int>(hello.rank);
  const bool mine = std::count(place_->children.begin(), place_->children.end(), child) != 0 && hello.to == static_cast<uint32_t>(rank()) &&
                    hello.nranks == static_cast<uint32_t>(joining_.nranks) && hello.meeting == joining_.meeting;
  const bool twice = std::any_of(edges_.begin(), edges_.end(), [&](const Edge& edge) { return edge.rank == child; });
  if (!mine || twice) return guest.connection->close();
  add_edge(child, name_of(hello), std::move(guest.connection), true);
  if (edges_.size() == place_->children.size() + (place_->parent >= 0 ? 1 : 0)) close_reception();
}

// Not from within the reception's own call.
void TreeNode::close_reception() {
  loop_.post([self = shared_from_this()] { self->reception_.reset(); });
}

void TreeNode::add_edge(int rank, const std::string& name, std::shared_ptr<Connection> connection, bool started) {
  Edge& edge = edges_.emplace_back();
  edge.connection = std::move(connection);
  edge.rank = rank;
  edge.name = name;
  edge.connection->detect_lost_host(joining_.heartbeat_s);
  const auto on_frame = [self = shared_from_this(), &edge](Frame& frame) { return self->on_frame(edge, frame); };
  const auto on_closed = [self = shared_from_this(), &edge](const Status& why) { self->on_closed(edge, why); };
  edge.connection->hand_over(most_table_bytes(joining_.nranks), on_frame, on_closed);
  if (started) return edge.connection->resume();
  if (Status status = edge.connection->start(on_frame, on_closed); !status.ok()) fail(status);
}

bool TreeNode::on_frame(Edge& edge, Frame& frame) {
  switch (frame.type) {
    case FrameType::kRefuse: return on_refusal(edge, frame);
    case FrameType::kGather: return on_gather(edge, frame);
    case FrameType::kTable: return on_table(edge, frame);
    case FrameType::kMessage: return on_message(edge, frame);
    case FrameType::kGoodbye: edge.goodbye = true; return true;
    case FrameType::kDone:
      edge.done = true;
      give_up_edges();
      return true;
    default: break;
  }
  on_closed(edge, {Code::kInvalidUsage, "it speaks out of turn"});
  return false;
}

bool TreeNode::on_refusal(Edge& edge, const Frame& frame) {
  const Status status = decode_refusal(frame.body, edge.name);
  edge.goodbye = true;
  if (phase_ == Phase::kGathering) fail(status);
  // It gave up when this rank had the table already.
  if (phase_ == Phase::kRunning) announce_death(edge, "gave up while the ranks met: " + status.message());
  return true;
}

bool TreeNode::on_gather(Edge& edge, const Frame& frame) {
  const bool child = edge.rank != place_->parent;
  if (phase_ != Phase::kGathering || !child || edge.gathered || !decode_part(frame.body, joining_.nranks, gathered_)) {
    on_closed(edge, {Code::kInvalidUsage, "it sent malformed data"});
    return false;
  }
  edge.gathered = true;
  gather_on();
  return true;
}

void TreeNode::gather_on() {
  if (phase_ != Phase::kGathering || sent_up_) return;
  const auto gathered = std::count_if(edges_.begin(), edges_.end(), [](const Edge& edge) { return edge.gathered; });
  if (static_cast<size_t>(gathered) != place_->children.size()) return;
  sent_up_ = true;
  if (place_->parent >= 0) return edges_.front().connection->send(FrameType::kGather, encode_part(gathered_));
  if (gathered_.size() != static_cast<size_t>(joining_.nranks)) return fail({Code::kInternal, "the control tree has lost ranks"});
  run(gathered_);
}

bool TreeNode::on_table(Edge& edge, const Frame& frame) {
  TablePart table;
  const bool whole = decode_part(frame.body, joining_.nranks, table) && table.size() == static_cast<size_t>(joining_.nranks);
  if (phase_ != Phase::kGathering || edge.rank != place_->parent || !sent_up_ || !whole) {
    on_closed(edge, {Code::kInvalidUsage, "it sent a malformed table"});
    return false;
  }
  run(table);
  return true;
}

void TreeNode::run(const TablePart& table) {
  const Bytes body = encode_part(table);
  for (Edge& edge : edges_) {
    if (edge.rank != place_->parent) edge.connection->send(FrameType::kTable, body);
  }
  position_of_.resize(table.size());
  rank_at_.resize(table.size());
  std::vector<Bytes> by_rank;
  for (const auto& [rank, entry] : table) {
    position_of_[static_cast<size_t>(rank)] = entry.position;
    rank_at_[entry.position] = rank;
    by_rank.push_back(entry.bytes);
  }
  gathered_.clear();
  phase_ = Phase::kRunning;
  if (line_) {
    line_->send(FrameType::kDone, {});
    std::exchange(line_, nullptr)->close_when_sent();
  }
  settle({}, std::move(by_rank));
  give_up_edges();
}

void TreeNode::settle(Status status, std::vector<Bytes> table) {
  std::lock_guard lock(mutex_);
  if (outcome_) return;
  outcome_ = std::move(status);
  table_ = std::move(table);
  settled_.notify_all();
}

// While gathering: everybody in reach is told.
void TreeNode::fail(const Status& status) {
  if (phase_ != Phase::kGathering) return;
  phase_ = Phase::kOver;
  settle(status, {});
  close_reception();
  for (Reception::Guest& guest : early_) refuse(*guest.connection, status);
  early_.clear();
  if (line_) refuse(*std::exchange(line_, nullptr), status);
  for (Edge& edge : edges_) {
    if (edge.goodbye) {
      edge.connection->close();
    } else {
      refuse(*edge.connection, status);
    }
  }
}

void TreeNode::give_up(const Status& status) {
  loop_.post([self = shared_from_this(), status] { self->fail(status); });
}

Status TreeNode::reason_for(const Status& status) {
  std::unique_lock lock(mutex_);
  settled_.wait_for(lock, kReasonWithin, [&] { return outcome_.has_value(); });
  return outcome_ && !outcome_->ok() ? *outcome_ : status;
}

Result<std::vector<Bytes>> TreeNode::await_table(const Dialer::Deadline& deadline) {
  std::unique_lock lock(mutex_);
  const auto settled = [&] { return outcome_.has_value(); };
  if (deadline && !settled_.wait_until(lock, *deadline, settled)) {
    loop_.post([self = shared_from_this()] {
      if (!self->missing_children().empty()) self->fail(self->describe_timeout());
    });
    if (!settled_.wait_until(lock, *deadline + kOthersSpeak, settled)) {
      loop_.post([self = shared_from_this()] { self->fail(self->describe_timeout()); });
    }
  }
  settled_.wait(lock, settled);
  if (!outcome_->ok()) return *outcome_;
  return std::move(table_);
}

std::string TreeNode::missing_children() const {
  std::string missing;
  for (size_t i = 0; place_ && i < place_->children.size(); ++i) {
    const int child = place_->children[i];
    const bool gathered = std::any_of(edges_.begin(), edges_.end(), [&](const Edge& edge) { return edge.rank == child && edge.gathered; });
    if (!gathered) missing += (missing.empty() ? "" : ", ") + place_->child_names[i];
  }
  return missing;
}

Status TreeNode::describe_timeout() const {
  const std::string missing = missing_children();
  const std::string what = !missing.empty() ? "for the data of " + missing + " and of the ranks behind"
                                            : "for the table from " + (place_ ? place_->parent_name : "a rank");
  return {Code::kTimeout, own_name() + " had its place among " + std::to_string(joining_.nranks) + " ranks, but waited in vain " + what +
                              ": are those processes stopped, or is their network blocked? (initTimeout, TUTTI_INIT_TIMEOUT)"};
}

// --- running ---

void TreeNode::on_closed(Edge& edge, const Status& why) {
  edge.connection->close();
  const bool expected = edge.goodbye || edge.done;
  edge.done = true;
  if (phase_ == Phase::kGathering) {
    const std::string how =
        why.code() == Code::kRemote ? " ended before all ranks had come" : " was lost before all ranks had come: " + why.message();
    const Status status(Code::kRemote, edge.name + how);
    if (!line_ || !line_->open()) return fail(status);
    // It may have given up for a reason that the rendezvous tells in a moment.
    loop_.at(ControlLoop::Clock::now() + kReasonWithin, [self = shared_from_this(), status] { self->fail(status); });
    return;
  }
  if (phase_ == Phase::kRunning && !expected) {
    const std::string how = why.code() == Code::kInvalidUsage ? "broke the control protocol: " + why.message()
                            : why.code() == Code::kRemote || why.message().find("reset") != std::string::npos
                                ? "died: see what its process said last"
                                : "does not answer any more: its host has vanished or is cut off (" + why.message() + "; TUTTI_HEARTBEAT)";
    announce_death(edge, how);
  }
  give_up_edges();
}

void TreeNode::announce_death(const Edge& edge, const std::string& how) {
  ByteWriter writer;
  writer.u32(static_cast<uint32_t>(edge.rank));
  writer.text(how);
  route({.context = kTreeContext, .from = static_cast<uint32_t>(rank()), .to = kToAll, .kind = kDied, .payload = writer.take()}, nullptr);
  note_death(edge.rank, how);
}

bool TreeNode::on_message(Edge& edge, const Frame& frame) {
  const std::optional<TreeMessage> message = decode_message(frame.body, joining_.nranks);
  if (phase_ != Phase::kRunning || !message) {
    on_closed(edge, {Code::kInvalidUsage, "it sent a malformed message"});
    return false;
  }
  route(*message, &edge);
  return true;
}

// Forwards a message, and delivers it where it is for this rank.
void TreeNode::route(const TreeMessage& message, const Edge* from) {
  if (phase_ != Phase::kRunning) return;
  if (message.to == static_cast<uint32_t>(rank())) return deliver(message);
  const Bytes body = encode_message(message);
  if (message.to != kToAll) {
    Edge* const hop = next_hop(message.to);
    if (hop != nullptr && hop != from) hop->connection->send(FrameType::kMessage, body);
    return;
  }
  for (Edge& edge : edges_) {
    if (&edge != from) edge.connection->send(FrameType::kMessage, body);
  }
  if (from != nullptr) deliver(message);
}

// Up, but for the ranks of a child's subtree.
TreeNode::Edge* TreeNode::next_hop(uint32_t to) {
  uint32_t position = position_of_[to];
  while (position > place_->position && (position - 1) / kTreeArity != place_->position) position = (position - 1) / kTreeArity;
  const int hop = position > place_->position ? rank_at_[position] : place_->parent;
  const auto found = std::find_if(edges_.begin(), edges_.end(), [&](const Edge& edge) { return edge.rank == hop; });
  return found == edges_.end() ? nullptr : &*found;
}

void TreeNode::deliver(const TreeMessage& message) {
  if (message.context == kTreeContext) {
    ByteReader reader(message.payload);
    const uint32_t rank = reader.u32();
    const std::string how = reader.text();
    if (message.kind == kDied && reader.ok() && rank < static_cast<uint32_t>(joining_.nranks)) note_death(static_cast<int>(rank), how);
    return;
  }
  const auto found = listeners_.find(message.context);
  if (found != listeners_.end()) {
    const auto listener = found->second;
    return listener->on_message(static_cast<int>(message.from), message.kind, message.payload);
  }
  if (left_) return;
  if (unheard_.size() == kMaxUnheard) unheard_.pop_front();
  unheard_.push_back(message);
}

void TreeNode::note_death(int rank, const std::string& how) {
  if (!dead_.emplace(rank, how).second) return;
  const auto listeners = listeners_;  // a listener may attach another
  for (const auto& [context, listener] : listeners) listener->on_died(rank, how);
}

void TreeNode::attach(uint32_t context, std::shared_ptr<TreeListener> listener) {
  loop_.post([self = shared_from_this(), context, listener = std::move(listener)] {
    self->listeners_[context] = listener;
    for (const auto& [rank, how] : self->dead_) listener->on_died(rank, how);
    std::deque<TreeMessage> others;
    for (TreeMessage& message : std::exchange(self->unheard_, {})) {
      if (message.context == context) {
        listener->on_message(static_cast<int>(message.from), message.kind, message.payload);
      } else {
        others.push_back(std::move(message));
      }
    }
    for (TreeMessage& message : others) self->unheard_.push_back(std::move(message));
  });
}

void TreeNode::detach(uint32_t context) {
  loop_.post([self = shared_from_this(), context] { self->listeners_.erase(context); });
}

void TreeNode::post(TreeMessage message) {
  message.from = static_cast<uint32_t>(rank());
  loop_.post([self = shared_from_this(), message = std::move(message)] { self->route(message, nullptr); });
}

// --- leaving ---

void TreeNode::leave() {
  loop_.post([self = shared_from_this()] {
    self->fail({Code::kRemote, self->own_name() + " left before all ranks had come"});
    self->left_ = true;
    self->listeners_.clear();
    self->unheard_.clear();
    for (Edge& edge : self->edges_) edge.connection->send(FrameType::kGoodbye, {});
    self->give_up_edges();
    std::lock_guard lock(self->mutex_);
    self->goodbye_said_ = true;
    self->settled_.notify_all();
  });
  if (loop_.on_thread()) return;
  std::unique_lock lock(mutex_);
  settled_.wait_for(lock, kGoodbyeWait, [&] { return goodbye_said_; });
}

// Whether nothing will come any more over the other edges, or from here.
bool TreeNode::quiet_but_for(const Edge& edge) const {
  return left_ && std::all_of(edges_.begin(), edges_.end(), [&](const Edge& other) { return &other == &edge || other.done; });
}

void TreeNode::give_up_edges() {
  if (phase_ != Phase::kRunning || !left_) return;
  for (Edge& edge : edges_) {
    if (edge.done_sent || !quiet_but_for(edge)) continue;
    edge.done_sent = true;
    edge.connection->send(FrameType::kDone, {});
  }
  if (!std::all_of(edges_.begin(), edges_.end(), [](const Edge& edge) { return edge.done; })) return;
  phase_ = Phase::kOver;
  for (Edge& edge : edges_) edge.connection->close_when_sent();
}

}  // namespace tutti
