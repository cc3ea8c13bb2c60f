#include "comm/split.h"

#include <algorithm>
#include <cstring>

#include "comm/gather_all.h"

namespace tutti {
namespace {

// What a rank says of itself at a split.
struct Entry {
  int32_t color = 0;
  int32_t key = 0;
  uint32_t context = 0;  // random: that of the first rank of a color becomes the child's
};

// How it went on a rank: its error, or its settings, which all must have.
struct Outcome {
  int32_t code = 0;
  char text[508]{};

  Outcome() = default;
  explicit Outcome(const Status& status) : code(static_cast<int32_t>(status.code())) { status.message().copy(text, sizeof text - 1); }
  explicit Outcome(const Config& config) {
    std::string settings;
    for (const std::string& setting : agreed_settings(config)) settings += (settings.empty() ? "" : ", ") + setting;
    settings.copy(text, sizeof text - 1);
  }
};

// Whether every member made its part, with the same settings.
Status all_well(const Communicator& parent, const std::vector<Outcome>& outcomes, const std::vector<int>& members) {
  const Outcome& first = outcomes[static_cast<size_t>(members.front())];
  for (const int member : members) {
    const Outcome& outcome = outcomes[static_cast<size_t>(member)];
    const std::string who = describe(parent.member(member));
    if (outcome.code != 0) return {static_cast<Code>(outcome.code), who + " could not take part: " + outcome.text};
    if (std::strcmp(outcome.text, first.text) == 0) continue;
    return {Code::kInvalidUsage, "ranks are configured differently: " + describe(parent.member(members.front())) + " has " + first.text +
                                     "; " + who + " has " + outcome.text + ": give all ranks of a color the same"};
  }
  return {};
}

// The child over the parent's connections. No rank uses its own before all have theirs.
Result<std::unique_ptr<Communicator>> split_off(Communicator& parent, const std::vector<int>& members, uint32_t context,
                                                const Config& config) {
  std::unique_ptr<Communicator> child;
  Outcome mine;
  if (!members.empty()) {
    Result<std::unique_ptr<Communicator>> derived = Communicator::derive(parent, members, context, config);
    mine = derived.ok() ? Outcome(config) : Outcome(derived.status());
    if (derived.ok()) child = std::move(*derived);
  }
  const Result<std::vector<Outcome>> outcomes = gather_all(parent, mine);
  if (!outcomes.ok()) return outcomes.status();
  if (members.empty()) return child;
  if (Status status = all_well(parent, outcomes.value(), members); !status.ok()) return status;
  if (Status status = child->meet(); !status.ok()) return status;
  return child;
}

// The child over connections of its own, which meets at a rendezvous of the first rank of its color.
Result<std::unique_ptr<Communicator>> meet_anew(Communicator& parent, const std::vector<int>& members, const Config& config) {
  const auto place = std::find(members.begin(), members.end(), parent.rank()) - members.begin();
  tuttiUniqueId mine = {};
  if (!members.empty() && place == 0) {
    const Result<RendezvousId> opened = open_rendezvous();
    if (opened.ok()) mine = encode_id(opened.value());  // else an id that no rank can decode
  }
  const Result<std::vector<tuttiUniqueId>> ids = gather_all(parent, mine);
  if (!ids.ok()) return ids.status();
  if (members.empty()) return std::unique_ptr<Communicator>();
  const Result<RendezvousId> id = decode_id(ids.value()[static_cast<size_t>(members.front())]);
  if (!id.ok()) {
    return Status(Code::kRemote, describe(parent.member(members.front())) + " could not open a rendezvous for its new communicator");
  }
  const Joining joining = {.rank = static_cast<int>(place), .nranks = static_cast<int>(members.size()), .timeout_s = config.init_timeout_s};
  return Communicator::join(id.value(), joining, config, {parent.topology_of(members), parent.tuning()});
}

}  // namespace

Result<std::unique_ptr<Communicator>> split(Communicator& parent, int color, int key, const Config& config) {
  Entry mine = {.color = color, .key = key};
  if (Status status = random_bytes(std::as_writable_bytes(std::span(&mine.context, 1))); !status.ok()) return status;
  const Result<std::vector<Entry>> gathered = gather_all(parent, mine);
  if (!gathered.ok()) return gathered.status();
  const std::vector<Entry>& entries = gathered.value();
  const auto key_of = [&](int rank) { return entries[static_cast<size_t>(rank)].key; };
  std::vector<int> members;  // of this rank's color, in the new order
  for (int rank = 0; rank < parent.nranks() && color >= 0; ++rank) {
    if (entries[static_cast<size_t>(rank)].color == color) members.push_back(rank);
  }
  std::stable_sort(members.begin(), members.end(), [&](int a, int b) { return key_of(a) < key_of(b); });
  if (!parent.derives()) return meet_anew(parent, members, config);
  const uint32_t context =
      members.empty() ? 0 : entries[static_cast<size_t>(members.front())].context | 1;  // 0 is the first communicator's
  return split_off(parent, members, context, config);
}

}  // namespace tutti
