// A chosen plan as something to lay over the picture of its machine. Threading: pure functions.
#pragma once

#include <string>

#include "plan/request.h"
#include "plan/simulator.h"
#include "topology/picture.h"
#include "topology/topology.h"

namespace tutti {

// Who sends how much to whom on each channel, by which links, of the ranks that the picture shows; and what `simulated` says of each link.
// `bytes` of the request's block. Precondition: the choice's algorithm can do the request there.
PictureOverlay plan_overlay(const Topology& topology, const PlanRequest& request, const PlanChoice& choice, uint64_t bytes,
                            const Simulated& simulated, const std::string& title);

}  // namespace tutti
