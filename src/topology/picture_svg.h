// Draws a scene. Internal to topology/; callers use picture.h. Threading: pure functions.
#pragma once

#include <string>

#include "topology/picture.h"

namespace tutti::picture {

// `fluid`: as wide as what it stands in. Else with its own width and height.
std::string draw(const Graph& graph, const PictureOverlay* overlay, bool fluid);

}  // namespace tutti::picture
