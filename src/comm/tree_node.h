// The control thread's side of a rank's place in the control tree. See control_tree.h.
// Threading: all methods on the control thread, but those that say otherwise; shared_ptr: handlers keep it alive while edges are open.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include "comm/control_tree.h"
#include "comm/reception.h"

namespace tutti {

struct TreeMessage {
  uint32_t context = 0;
  uint32_t from = 0;
  uint32_t to = 0;
  uint16_t kind = 0;
  Bytes payload;
};
inline constexpr uint32_t kToAll = 0xffff'ffff;
// The tree's own: a rank died; the payload is its number and how.
inline constexpr uint32_t kTreeContext = 0xffff'ffff;
inline constexpr uint16_t kDied = 1;

Bytes encode_message(const TreeMessage& message);
std::optional<TreeMessage> decode_message(std::span<const std::byte> body, int nranks);

// A subtree's data: of each rank its position and its bytes.
struct TableEntry {
  uint32_t position = 0;
  Bytes bytes;
};
using TablePart = std::map<int, TableEntry>;
Bytes encode_part(const TablePart& part);
// Adds to `part`. False: malformed, or a rank that is there already.
bool decode_part(std::span<const std::byte> body, int nranks, TablePart& part);

class TreeNode : public std::enable_shared_from_this<TreeNode> {
 public:
  TreeNode(ControlLoop& loop, const Joining& joining) : loop_(loop), joining_(joining) {}

  // Any thread. Begins to listen for children. Errors: kSystem.
  Status listen(Fd listener, const Key& key);
  // Any thread: the listener of the rendezvous tells of failures here, and is told of this rank's.
  void take_line(Fd line, FrameDecoder decoder);
  // Any thread: the place is known, and the parent connected. `mine`: this rank's part of the table.
  void take_place(const Place& place, Bytes mine, Fd parent, FrameDecoder decoder);
  // Any thread. Blocks until the table is here, or not to be had. Errors: as ControlTree::join().
  Result<std::vector<Bytes>> await_table(const Dialer::Deadline& deadline);
  // Any thread. The parent cannot be reached: that may follow from something that the rendezvous tells in a moment, and which is then what
  // this returns. Blocks for as long.
  Status reason_for(const Status& status);
  // Any thread: the joining failed elsewhere; says so to whom it can.
  void give_up(const Status& status);

  // Any thread.
  void attach(uint32_t context, std::shared_ptr<TreeListener> listener);
  void detach(uint32_t context);
  void post(TreeMessage message);
  // Waits until the goodbyes are with the kernel, for a moment at most.
  void leave();

  int rank() const { return joining_.rank; }

 private:
  struct Edge {
    std::shared_ptr<Connection> connection;
    int rank = -1;
    std::string name;
    bool gathered = false;  // a child whose subtree's data is here
    bool goodbye = false;   // it has ended in good order, or refused
    bool done_sent = false;
    bool done = false;  // nothing more comes from beyond
  };
  enum class Phase : uint8_t { kGathering, kRunning, kOver };

  void begin(const Place& place, Bytes mine, Fd parent, FrameDecoder decoder);
  void admit(Reception::Guest guest);
  void add_edge(int rank, const std::string& name, std::shared_ptr<Connection> connection, bool started);
  void hear_line(const Frame& frame);
  bool on_frame(Edge& edge, Frame& frame);
  bool on_refusal(Edge& edge, const Frame& frame);
  bool on_gather(Edge& edge, const Frame& frame);
  bool on_table(Edge& edge, const Frame& frame);
  bool on_message(Edge& edge, const Frame& frame);
  void on_closed(Edge& edge, const Status& why);
  void gather_on();
  void run(const TablePart& table);
  void fail(const Status& status);
  std::string missing_children() const;
  Status describe_timeout() const;
  void announce_death(const Edge& edge, const std::string& how);
  void close_reception();
  void settle(Status status, std::vector<Bytes> table);

  void route(const TreeMessage& message, const Edge* from);
  void deliver(const TreeMessage& message);
  void note_death(int rank, const std::string& how);
  Edge* next_hop(uint32_t to);
  bool quiet_but_for(const Edge& edge) const;
  void give_up_edges();
  std::string own_name() const { return "rank " + std::to_string(rank()); }

  ControlLoop& loop_;
  Joining joining_;
  std::unique_ptr<Reception> reception_;
  std::shared_ptr<Connection> line_;  // to the rendezvous, while joining
  std::optional<Place> place_;
  std::deque<Reception::Guest> early_;  // children who came before the place was known
  std::deque<Edge> edges_;              // the parent first, where there is one; addresses stay
  TablePart gathered_;
  bool sent_up_ = false;
  Phase phase_ = Phase::kGathering;
  bool left_ = false;
  std::vector<uint32_t> position_of_;  // by rank, once running
  std::vector<int> rank_at_;
  std::map<uint32_t, std::shared_ptr<TreeListener>> listeners_;
  std::deque<TreeMessage> unheard_;  // for contexts that nobody listens to yet
  std::map<int, std::string> dead_;

  // Shared with await_table() and leave().
  std::mutex mutex_;
  std::condition_variable settled_;
  std::optional<Status> outcome_;
  std::vector<Bytes> table_;
  bool goodbye_said_ = false;
};

}  // namespace tutti
