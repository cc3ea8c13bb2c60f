// From a laid out piece to a scene. Internal to topology/. Threading: pure functions.
#pragma once

#include "topology/picture_model.h"
#include "topology/picture_scene.h"

namespace tutti::picture {

// Ways that the piece does not give are straight. Every vertex of the model has an item.
Scene scene_of(const Model& model, Piece piece);

}  // namespace tutti::picture
