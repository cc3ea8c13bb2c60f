// The ways of a plan's hops through a scene: along the wires, each channel a little beside the next, one direction on the right.
// Internal to topology/. Threading: pure functions.
#pragma once

#include <string>
#include <vector>

#include "topology/picture.h"
#include "topology/picture_scene.h"

namespace tutti::picture {

// Hops of one channel that look the same.
struct Track {
  uint32_t from = 0;  // items
  uint32_t to = 0;
  std::string path;  // of SVG
  std::string title;
};

struct Tracks {
  std::vector<std::vector<Track>> channels;
  size_t left_out = 0;  // more than a picture can hold
};

Tracks tracks_of(const Scene& scene, const PictureOverlay& overlay);

}  // namespace tutti::picture
