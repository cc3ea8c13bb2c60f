#include "comm/mixed_transport.h"

#include <algorithm>
#include <array>
#include <map>

namespace tutti {
namespace {

// Enough of a hash that equal tags are equal nodes.
using Tag = std::array<std::byte, 16>;

Tag tag_of(const std::string& node, const Key& key) {
  const Mac mac = hmac_sha256(key, std::as_bytes(std::span(node)));
  Tag tag;
  std::copy_n(mac.begin(), tag.size(), tag.begin());
  return tag;
}

}  // namespace

MixedTransport::MixedTransport(int rank, std::vector<Part> parts, const FifoShapes& shapes, const std::string& node, const Key& key)
    : rank_(rank), parts_(std::move(parts)), shapes_(shapes) {
  const Tag tag = tag_of(node, key);
  address_.assign(tag.begin(), tag.end());
  for (const Part& part : parts_) {
    const auto address = part.transport->address();
    address_.push_back(static_cast<std::byte>(address.size()));
    address_.insert(address_.end(), address.begin(), address.end());
  }
  take_up({0});
}

MixedTransport::MixedTransport(int rank, int nranks, Part part, const FifoShapes& shapes) : rank_(rank), shapes_(shapes) {
  routes_.assign(static_cast<size_t>(nranks), part.transport.get());
  if ((part.transport->abilities() & kAbilityMapped) == 0) carried_.push_back(part.transport.get());
  parts_.push_back(std::move(part));
  take_up({0});
}

void MixedTransport::take_up(const std::vector<size_t>& used) {
  name_.clear();
  abilities_ = ~0u;
  shapes_.staged.capacity = parts_[used.front()].transport->shapes().staged.capacity;
  for (const size_t i : used) {
    shapes_.staged.capacity = std::min(shapes_.staged.capacity, parts_[i].transport->shapes().staged.capacity);
    if (!name_.empty()) name_ += '+';
    name_ += parts_[i].transport->name();
    abilities_ &= parts_[i].transport->abilities();
  }
  if (used.size() > 1) abilities_ &= ~kAbilityDerive;  // none of them alone reaches all
}

Result<std::unique_ptr<Transport>> MixedTransport::derive(std::vector<int> members, uint32_t context, const FifoShapes& shapes,
                                                          std::shared_ptr<MemoryBudget> budget) {
  const auto nranks = static_cast<int>(members.size());
  const auto rank = static_cast<int>(std::find(members.begin(), members.end(), rank_) - members.begin());
  // With the ability there is one part alone that reaches all; introduce() has given up the others.
  const auto part = std::find_if(parts_.begin(), parts_.end(), [](const Part& each) { return each.transport != nullptr; });
  Result<std::unique_ptr<Transport>> derived = part->transport->derive(std::move(members), context, shapes, std::move(budget));
  if (!derived.ok()) return derived.status();
  return std::unique_ptr<Transport>(std::make_unique<MixedTransport>(rank, nranks, Part{std::move(*derived)}, shapes));
}

Status MixedTransport::introduce(std::vector<std::vector<std::byte>> addresses) {
  if (addresses.empty()) return parts_.front().transport->introduce({});  // derived
  std::map<Tag, int> nodes;                                               // by tag: a rank there
  std::vector<Tag> tags;
  std::vector<std::vector<std::vector<std::byte>>> by_part(parts_.size());
  for (size_t rank = 0; rank < addresses.size(); ++rank) {
    const std::vector<std::byte>& bytes = addresses[rank];
    size_t at = sizeof(Tag);
    for (auto& part : by_part) {
      const size_t length = at < bytes.size() ? std::to_integer<size_t>(bytes[at]) : bytes.size();
      if (at + 1 + length > bytes.size()) return {Code::kInternal, "rank " + std::to_string(rank) + " sent a malformed transport address"};
      part.emplace_back(bytes.begin() + static_cast<ptrdiff_t>(at + 1), bytes.begin() + static_cast<ptrdiff_t>(at + 1 + length));
      at += 1 + length;
    }
    std::copy_n(bytes.begin(), sizeof(Tag), tags.emplace_back().begin());
    nodes.try_emplace(tags.back(), static_cast<int>(rank));
  }

  const auto outer_part = std::find_if(parts_.begin(), parts_.end(), [](const Part& part) { return part.leaves_node; });
  const auto outer = static_cast<size_t>(outer_part - parts_.begin());
  if (nodes.size() > 1 && outer == parts_.size()) {
    return {Code::kInvalidUsage, "ranks " + std::to_string(nodes.begin()->second) + " and " + std::to_string(nodes.rbegin()->second) +
                                     " are on different nodes and share no transport: add tcp to TUTTI_TRANSPORTS"};
  }
  std::vector<size_t> used;
  if (nodes.size() < addresses.size() || nodes.size() == 1) used.push_back(0);  // inside a node: every transport does
  if (nodes.size() > 1 && (used.empty() || outer != 0)) used.push_back(outer);
  take_up(used);

  const auto& own = tags[static_cast<size_t>(rank_)];
  for (const auto& tag : tags) routes_.push_back(parts_[tag == own ? 0 : outer].transport.get());
  for (size_t i = 0; i < parts_.size(); ++i) {
    bool needed = false;
    for (size_t peer = 0; peer < routes_.size(); ++peer) {
      needed = needed || ((static_cast<int>(peer) != rank_ || routes_.size() == 1) && routes_[peer] == parts_[i].transport.get());
    }
    if (!needed) {
      parts_[i].transport.reset();  // its listener goes
      continue;
    }
    Transport& transport = *parts_[i].transport;
    if (Status status = transport.introduce(std::move(by_part[i])); !status.ok()) return status;
    if ((transport.abilities() & kAbilityMapped) == 0) carried_.push_back(&transport);
  }
  return {};
}

void MixedTransport::interrupt_by(std::function<bool()> interrupted) {
  for (Part& part : parts_) {
    if (part.transport) part.transport->interrupt_by(interrupted);
  }
}

bool MixedTransport::progress() {
  bool moved = false;
  for (Transport* transport : carried_) moved |= transport->progress();
  return moved;
}

void MixedTransport::settle() {
  for (Transport* transport : carried_) transport->settle();
}

void MixedTransport::farewell(PeerState state) {
  for (Part& part : parts_) {
    if (part.transport) part.transport->farewell(state);
  }
}

}  // namespace tutti
