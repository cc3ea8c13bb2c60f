// The look of a picture: its style sheet, for light and dark, and which class something wears.
// Internal to topology/. Threading: constants and pure functions.
#pragma once

#include <map>
#include <string>

namespace tutti::picture {

inline constexpr int kChannelColours = 8;

// The style sheet of the SVG.
const std::string& style_sheet();

// The number of a kind's colour: its own where it is known, else one that no kind has so far. Remembers.
class KindColours {
 public:
  int of(const std::string& kind);

 private:
  std::map<std::string, int> known_;
  int next_ = 0;
};

// "v3": the class of an endpoint of this vendor.
std::string vendor_class(const std::string& vendor);

}  // namespace tutti::picture
