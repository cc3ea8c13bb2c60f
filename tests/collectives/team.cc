#include "team.h"

#include <algorithm>
#include <deque>
#include <stdexcept>

#include "device/devices.h"
#include "tests/support/device_buffer.h"

namespace tutti::test {
namespace {

constexpr size_t kMostWorlds = 4;
constexpr int kMostShown = 3;  // of the ranks' findings

void user_xor(const void* left, const void* right, void* result, size_t count, tuttiDataType_t type, void* /*context*/) {
  xor_elements(left, right, result, count, type);
}

void user_affine(const void* left, const void* right, void* result, size_t count, tuttiDataType_t type, void* /*context*/) {
  compose_affine(left, right, result, count, type);
}

std::deque<std::pair<WorldConfig, std::unique_ptr<World>>>& worlds() {
  static std::deque<std::pair<WorldConfig, std::unique_ptr<World>>> kept;
  return kept;
}

}  // namespace

Finding expect_success(tuttiResult_t result, const std::string& what, tuttiComm_t comm) {
  if (result == tuttiSuccess) return {};
  return what + ": " + tuttiGetErrorString(result) + ": " + tuttiGetLastError(comm) + ". ";
}

Team& team() {
  static Team instance;
  return instance;
}

Team::~Team() {
  {
    std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Finding Team::run(int nranks, const std::function<Finding(int rank)>& body) {
  std::unique_lock lock(mutex_);
  while (static_cast<int>(threads_.size()) < nranks) {
    const int rank = static_cast<int>(threads_.size());
    threads_.emplace_back([this, rank, seen = round_] { serve(rank, seen); });
  }
  ++round_;
  nranks_ = running_ = nranks;
  body_ = &body;
  findings_.assign(static_cast<size_t>(nranks), {});
  changed_.notify_all();
  changed_.wait(lock, [&] { return running_ == 0; });
  Finding all;
  int wrong = 0;
  for (int rank = 0; rank < nranks; ++rank) {
    const Finding& one = findings_[static_cast<size_t>(rank)];
    if (!one.empty() && ++wrong <= kMostShown) all += "rank " + std::to_string(rank) + " of " + std::to_string(nranks) + ": " + one + "\n";
  }
  if (wrong > kMostShown) all += std::to_string(wrong - kMostShown) + " more ranks found something wrong.\n";
  return all;
}

void Team::serve(int rank, uint64_t seen) {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return round_ != seen || ending_; });
    if (ending_) return;
    seen = round_;
    if (rank >= nranks_) continue;
    const auto& body = *body_;
    lock.unlock();
    Finding finding = body(rank);
    lock.lock();
    findings_[static_cast<size_t>(rank)] = std::move(finding);
    if (--running_ == 0) changed_.notify_all();
  }
}

TestAccelerator* accelerator_of(char letter) {
  static const bool added = add_device(test_accelerator_a()).ok() && add_device(test_accelerator_b()).ok();
  if (!added) throw std::runtime_error("the test accelerators' names are taken");
  return letter == 'a' ? &test_accelerator_a() : letter == 'b' ? &test_accelerator_b() : nullptr;
}

Finding Member::create_reductions(int rank) {
  for (const TypeInfo& type : all_types()) {
    // In the device's memory where there is one, every other one in the host's all the same.
    DeviceBuffer scalar(premul_scalar(type.type, rank), type.type % 2 == 0 ? device : nullptr);
    const tuttiResult_t made = tuttiRedOpCreatePreMulSum(&premul[static_cast<size_t>(type.type)], scalar.data(), type.type, comm);
    if (made != tuttiSuccess) return expect_success(made, "create premulsum", comm);
  }
  if (const tuttiResult_t made = tuttiRedOpCreateUser(&user_xor, test::user_xor, 1, nullptr, comm); made != tuttiSuccess)
    return expect_success(made, "create xor", comm);
  return expect_success(tuttiRedOpCreateUser(&user_affine, test::user_affine, 0, nullptr, comm), "create affine", comm);
}

tuttiRedOp_t Member::op(const Call& call) const {
  switch (call.op) {
    case Op::kSum: return tuttiSum;
    case Op::kProd: return tuttiProd;
    case Op::kMax: return tuttiMax;
    case Op::kMin: return tuttiMin;
    case Op::kAvg: return tuttiAvg;
    case Op::kPremulSum: return premul[static_cast<size_t>(call.type)];
    case Op::kXor: return user_xor;
    case Op::kAffine: break;
  }
  return user_affine;
}

World::World(const WorldConfig& config, Finding& found) : config_(config), members_(static_cast<size_t>(config.nranks)) {
  tuttiUniqueId id;
  found = expect_success(tuttiGetUniqueId(&id), "get unique id");
  if (!found.empty()) return;
  tuttiConfig_t settings = TUTTI_CONFIG_INITIALIZER;
  settings.timeout = config.timeout_s;
  if (!config.algorithm.empty()) settings.algorithm = config_.algorithm.c_str();
  found = team().run(config.nranks, [&](int rank) -> Finding {
    Member& self = members_[static_cast<size_t>(rank)];
    tuttiConfig_t own = settings;
    if (!config.devices.empty()) self.device = accelerator_of(config.devices[static_cast<size_t>(rank)]);
    if (self.device != nullptr) own.device = self.device->name();
    const tuttiResult_t joined = tuttiCommInitRankConfig(&self.comm, config.nranks, id, rank, &own);
    if (joined != tuttiSuccess) return expect_success(joined, "join");
    return self.create_reductions(rank);
  });
}

World::~World() {
  for (const Member& member : members_) static_cast<void>(tuttiCommDestroy(member.comm));
}

Finding World::run(const std::function<Finding(int rank, const Member&)>& body) const {
  return team().run(nranks(), [&](int rank) { return body(rank, member(rank)); });
}

World& world_of(const WorldConfig& config, Finding& found) {
  auto& kept = worlds();
  const auto place = std::find_if(kept.begin(), kept.end(), [&](const auto& one) { return one.first == config; });
  if (place != kept.end()) return *place->second;
  if (kept.size() == kMostWorlds) kept.pop_front();
  kept.emplace_back(config, std::make_unique<World>(config, found));
  return *kept.back().second;
}

void forget_worlds() {
  worlds().clear();
}

}  // namespace tutti::test
