// What a picture says: labels that fit, the texts that hovering shows, and the escaping of what comes from files.
// Internal to topology/. Threading: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "topology/picture.h"
#include "topology/picture_scene.h"

namespace tutti::picture {

inline constexpr double kSmallFont = 9.5;

// For XML text and attributes. What XML cannot hold (control characters, bytes that are no UTF-8) becomes U+FFFD.
std::string escaped(std::string_view text);

// As many characters of UTF-8 as about `width` pixels hold at a font's size, with an ellipsis where some are missing; empty where that
// would be less than two characters.
std::string fitted(std::string_view text, double width, double font);

std::string rate_text(double GBps);    // "450 GB/s", "1.8 TB/s"
std::string bytes_text(double bytes);  // "1.07 GB"

// The words for one scene.
class Words {
 public:
  Words(const Graph& graph, const Scene& scene, const PictureOverlay* overlay);

  const std::string& id(uint32_t vertex) const;
  std::string short_id(uint32_t vertex) const;  // behind the last '/'
  std::string label(const Item& item, double font) const;
  std::string title(const Item& item) const;
  std::string title(const Wire& wire) const;
  // Under the name: what there is in all.
  std::string summary() const;
  // "nvlink 18 x 25 = 450 GB/s, 1 us": how the legend names a link.
  static std::string sort_of(const Link& link);

 private:
  std::string title_of_many(const Item& item) const;
  std::string title_of_endpoint(uint32_t vertex) const;
  double leaving_GBps(uint32_t vertex) const;
  void add_load(const Wire& wire, std::string& out) const;

  const Graph& graph_;
  const Scene& scene_;
  const PictureOverlay* overlay_;
  bool numbered_nics_ = false;  // their names do not fit: a number each
};

}  // namespace tutti::picture
