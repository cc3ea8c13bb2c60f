#include "random_program.h"

#include <algorithm>
#include <map>

#include "random.h"

namespace tutti::test {
namespace {

constexpr size_t kMostBytes = 100'000;  // of the larger buffer of a call, about
constexpr int kNoColor = TUTTI_SPLIT_NOCOLOR;

// Small as a rule: half of them fit a cache line or an inline slot.
size_t random_bytes_of_call(Random& random) {
  const size_t dice = random.below(size_t{16});
  if (dice == 0) return 0;
  if (dice < 7) return random.below(size_t{64});
  if (dice < 13) return random.below(size_t{4096});
  return random.below(kMostBytes);
}

// `blocks` counts of `total` elements or so together: zeros among them, and one with most of it now and then.
std::vector<size_t> random_counts(Random& random, size_t blocks, size_t total) {
  std::vector<size_t> counts(blocks, 0);
  for (size_t& count : counts) count = random.one_in(4) ? 0 : random.below(2 * total / blocks + 1);
  if (random.one_in(4)) counts[random.below(blocks)] += total;
  return counts;
}

// What a split makes of a slot's places.
std::vector<Place> split_places(const std::vector<Place>& parent, uint64_t seed) {
  struct Mate {
    int key;
    int parent_rank;
    size_t world_rank;
  };
  std::map<std::pair<int, int>, std::vector<Mate>> groups;  // by parent's group and color
  for (size_t rank = 0; rank < parent.size(); ++rank) {
    if (parent[rank].group < 0) continue;
    const SplitChoice choice = split_choice(seed, parent[rank]);
    if (choice.color != kNoColor) groups[{parent[rank].group, choice.color}].push_back({choice.key, parent[rank].rank, rank});
  }
  std::vector<Place> places(parent.size());
  int number = 0;
  for (auto& [colors, mates] : groups) {
    std::sort(mates.begin(), mates.end(),
              [](const Mate& a, const Mate& b) { return std::pair(a.key, a.parent_rank) < std::pair(b.key, b.parent_rank); });
    for (size_t i = 0; i < mates.size(); ++i) {
      places[mates[i].world_rank] = {.group = number, .rank = static_cast<int>(i), .nranks = static_cast<int>(mates.size())};
    }
    ++number;
  }
  return places;
}

}  // namespace

RandomProgram::RandomProgram(const ProgramOptions& options) {
  std::vector<Places> slots(kSlots);
  for (int rank = 0; rank < options.nranks; ++rank) slots[0].push_back({.group = 0, .rank = rank, .nranks = options.nranks});
  for (int i = 0; i < options.steps; ++i) {
    const Step step = next_step(mixed(options.seed, static_cast<uint64_t>(i)), slots);
    steps_.push_back({step, slots});
    if (step.what == Step::What::kSplit)
      slots[static_cast<size_t>(step.slot)] = split_places(slots[static_cast<size_t>(step.parent)], step.seed);
    if (step.what == Step::What::kDestroy) slots[static_cast<size_t>(step.slot)].clear();
  }
}

Step RandomProgram::next_step(uint64_t seed, const std::vector<Places>& slots) const {
  Random random(seed);
  std::vector<int> alive, children, empty;
  for (int slot = 0; slot < kSlots; ++slot) {
    const bool is_empty = slots[static_cast<size_t>(slot)].empty();
    (is_empty ? empty : alive).push_back(slot);
    if (!is_empty && slot != 0) children.push_back(slot);
  }
  Step step{.seed = random.next()};
  step.slot = alive[random.below(alive.size())];
  const size_t dice = random.below(size_t{100});
  if (dice < 55) {
    step.what = Step::What::kCollective;
  } else if (dice < 75) {
    step.what = Step::What::kGroup;
  } else if (dice < 87) {
    step.what = Step::What::kMail;
  } else if (dice < 92 && !empty.empty()) {
    step.what = Step::What::kSplit;
    step.parent = step.slot;
    step.slot = empty[random.below(empty.size())];
  } else if (dice < 95 && !children.empty()) {
    step.what = Step::What::kDestroy;
    step.slot = children[random.below(children.size())];
  } else {
    step.what = Step::What::kSynchronize;
  }
  return step;
}

Place RandomProgram::place(int index, int slot, int rank) const {
  const Places& places = steps_[static_cast<size_t>(index)].slots[static_cast<size_t>(slot)];
  return places.empty() ? Place() : places[static_cast<size_t>(rank)];
}

std::vector<GroupItem> RandomProgram::group_items(int index) const {
  const Placed& placed = steps_[static_cast<size_t>(index)];
  Random random(placed.step.seed);
  std::vector<GroupItem> items;
  bool mailed[kSlots] = {};
  for (size_t left = 1 + random.below(size_t{6}); left != 0; --left) {
    const int slot = random.below(kSlots);
    if (placed.slots[static_cast<size_t>(slot)].empty()) continue;
    const bool is_mail = !mailed[slot] && random.one_in(2);
    mailed[slot] = mailed[slot] || is_mail;
    items.push_back({.slot = slot, .is_mail = is_mail, .seed = random.next()});
  }
  return items;
}

std::string RandomProgram::describe(int index) const {
  const Placed& placed = steps_[static_cast<size_t>(index)];
  const Step& step = placed.step;
  const std::string on = " on slot " + std::to_string(step.slot);
  switch (step.what) {
    case Step::What::kSynchronize: return "synchronize";
    case Step::What::kSplit: return "split slot " + std::to_string(step.parent) + " into slot " + std::to_string(step.slot);
    case Step::What::kDestroy: return "destroy" + on;
    case Step::What::kMail: return "messages of one pair" + on;
    case Step::What::kGroup: return "group of " + std::to_string(group_items(index).size());
    case Step::What::kCollective: break;
  }
  std::string text = "collective" + on;
  int described = -1;
  for (const Place& place : placed.slots[static_cast<size_t>(step.slot)]) {
    if (place.group <= described) continue;
    described = place.group;
    text += "; of " + std::to_string(place.nranks) +
            " ranks: " + test::describe(random_call(mixed(step.seed, static_cast<uint64_t>(place.group)), place.nranks));
  }
  return text;
}

SplitChoice split_choice(uint64_t seed, const Place& place) {
  Random common(mixed(seed, static_cast<uint64_t>(place.group)));
  const int colors = 1 + common.below(3);
  const bool some_without = common.one_in(3);
  Random own(mixed(common.next(), static_cast<uint64_t>(place.rank)));
  if (some_without && own.one_in(3)) return {.color = kNoColor, .key = 0};
  return {.color = own.below(colors), .key = own.below(5) - 2};
}

Call random_call(uint64_t seed, int nranks) {
  Random random(seed);
  Call call{.kind = static_cast<Kind>(random.below(kKinds)),
            .type = all_types()[random.below(size_t{kTypes})].type,
            .op = static_cast<Op>(random.below(kOps)),
            .root = random.below(nranks),
            .seed = random.next()};
  const size_t elems = random_bytes_of_call(random) / info_of(call.type).bytes;
  const auto n = static_cast<size_t>(nranks);
  switch (call.kind) {
    case Kind::kAllReduce:
    case Kind::kBroadcast:
    case Kind::kReduce: call.count = elems; break;
    case Kind::kAllToAllV: call.counts = random_counts(random, n * n, elems); break;
    default: call.count = elems / n;
  }
  if (is_uneven(call.kind) && call.kind != Kind::kAllToAllV) call.counts = random_counts(random, n, elems);
  return call;
}

std::vector<Message> random_messages(uint64_t seed, int nranks) {
  Random random(seed);
  std::vector<Message> messages(random.below(size_t{12}));
  for (Message& message : messages) {
    message = {.from = random.below(nranks), .to = random.below(nranks), .type = all_types()[random.below(size_t{kTypes})].type};
    message.count = random_bytes_of_call(random) / info_of(message.type).bytes;
    message.seed = random.next();
  }
  return messages;
}

std::vector<Message> messages_of_one_pair(uint64_t seed, int nranks) {
  if (nranks < 2) return {};
  Random random(seed);
  std::vector<Message> messages(1 + random.below(size_t{3}));
  const int a = random.below(nranks), b = (a + 1 + random.below(nranks - 1)) % nranks;
  for (Message& message : messages) {
    const bool back = random.one_in(2);
    message = {.from = back ? b : a, .to = back ? a : b, .type = all_types()[random.below(size_t{kTypes})].type};
    message.count = random_bytes_of_call(random) / info_of(message.type).bytes;
    message.seed = random.next();
  }
  return messages;
}

}  // namespace tutti::test
