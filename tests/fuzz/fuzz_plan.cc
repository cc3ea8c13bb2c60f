// Plan files, JSON and MSCCL XML: no input may crash the readers or the verifier; a plan that MSCCL's reader accepts holds, and comes back
// from what is written of it.
#include <cstdlib>

#include "plan/msccl.h"
#include "plan/serialise.h"
#include "plan/verifier.h"

using namespace tutti;

namespace {

void expect(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (Result<Plan> plan = plan_from_json(text); plan.ok()) {
    if (check_structure(*plan).ok()) expect(plan_from_json(plan_to_json(*plan)).value() == *plan);
    static_cast<void>(verify(*plan));
  }
  Result<Plan> plan = plan_from_msccl(text);
  if (!plan.ok()) {
    expect(!plan.status().message().empty());
    return 0;
  }
  expect(verify(*plan).ok());
  if (Result<std::string> xml = plan_to_msccl(*plan); xml.ok()) expect(plan_from_msccl(*xml).ok());
  return 0;
}
