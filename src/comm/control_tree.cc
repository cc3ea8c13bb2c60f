#include "comm/control_tree.h"

#include "comm/tree_node.h"

namespace tutti {

Result<ControlTree::Joined> ControlTree::join(const RendezvousId& id, const Joining& joining, std::span<const std::byte> mine,
                                              const std::function<Bytes()>& of_node) {
  if (mine.size() > kMaxJoinBytes) {
    return Status(Code::kInvalidUsage, "this rank's settings and address take " + std::to_string(mine.size()) +
                                           " bytes, over the bound of " + std::to_string(kMaxJoinBytes) +
                                           ": shorten TUTTI_NODE_ID or TUTTI_TRANSPORTS");
  }
  const Result<ControlLoop*> loop = ControlLoop::instance();
  if (!loop.ok()) return loop.status();
  ControlAddress control = id.children_anywhere ? ControlAddress() : id.control_address();
  Result<Fd> listener = listen_near(control);
  if (!listener.ok()) return listener.status();
  const auto node = std::make_shared<TreeNode>(*loop.value(), joining);
  if (Status status = node->listen(std::move(*listener), id.key); !status.ok()) {
    node->give_up(status);
    return status;
  }
  const Dialer::Deadline deadline = deadline_after(joining.timeout_s);
  Result<Seated> seated = join_rendezvous(id, joining, control, deadline);
  if (!seated.ok()) {
    node->give_up(seated.status());
    return seated.status();
  }
  const Place& place = seated->place;
  node->take_line(std::move(seated->line), std::move(seated->decoder));
  const int parent = place.parent;
  Dialer dialer(place.parent_control, place.parent_name + "'s control listener",
                place.parent_name + " has ended, or the network is blocked",
                static_cast<size_t>(joining.nranks) * (kMaxJoinBytes + 12) + kMaxTreePayloadBytes, deadline);
  const auto dial = [&]() -> Status {
    if (Status status = dialer.connect(); !status.ok()) return status;
    Hello hello = make_hello(joining, static_cast<uint32_t>(parent));
    if (Status status = random_bytes(hello.nonce); !status.ok()) return status;
    if (Status status = dialer.introduce(id.key, Role::kChild, Role::kParent, hello); !status.ok()) return status;
    return dialer.join({});
  };
  if (parent >= 0) {
    if (Status failed = dial(); !failed.ok()) {
      const Status status = node->reason_for(failed);
      node->give_up(status);
      return status;
    }
  }
  Bytes brought(mine.begin(), mine.end());
  if (of_node && place.first_of_node) {
    const Bytes more = of_node();
    if (brought.size() + more.size() <= kMaxJoinBytes) brought.insert(brought.end(), more.begin(), more.end());
  }
  node->take_place(place, std::move(brought), dialer.take_fd(), dialer.take_decoder());
  Result<std::vector<Bytes>> table = node->await_table(deadline);
  if (!table.ok()) return table.status();
  return Joined{std::move(*table), std::shared_ptr<ControlTree>(new ControlTree(node))};
}

ControlTree::~ControlTree() {
  node_->leave();
}

void ControlTree::attach(uint32_t context, std::shared_ptr<TreeListener> listener) {
  node_->attach(context, std::move(listener));
}

void ControlTree::detach(uint32_t context) {
  node_->detach(context);
}

void ControlTree::send(uint32_t context, int to, uint16_t kind, Bytes payload) {
  node_->post({.context = context, .to = static_cast<uint32_t>(to), .kind = kind, .payload = std::move(payload)});
}

void ControlTree::flood(uint32_t context, uint16_t kind, Bytes payload) {
  node_->post({.context = context, .to = kToAll, .kind = kind, .payload = std::move(payload)});
}

}  // namespace tutti
