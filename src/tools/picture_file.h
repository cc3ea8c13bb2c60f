// Writes a picture where --svg or --html say. Threading: one thread.
#pragma once

#include <string>

#include "base/status.h"
#include "topology/picture.h"

namespace tutti {

struct PictureFiles {
  std::string svg;   // empty: none
  std::string html;  // likewise

  bool wanted() const { return !svg.empty() || !html.empty(); }
};

// Errors: kSystem (a file cannot be written: the sentence names it).
Status write_pictures(const Graph& graph, const PictureOverlay* overlay, const PictureFiles& files);

}  // namespace tutti
