// Where everything of a graph stands in a picture of at most about 1250 pixels' width.
// Internal to topology/. Threading: pure functions.
#pragma once

#include "topology/graph.h"
#include "topology/picture_scene.h"

namespace tutti::picture {

Scene lay_out(const Graph& graph);

}  // namespace tutti::picture
