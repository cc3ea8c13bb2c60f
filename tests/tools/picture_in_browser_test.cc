// The pages that tutti-topo and tutti-plan write, in Chromium, where there is one: their script runs, without an error, and does what it
// says.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "subprocess.h"

namespace tutti {
namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class PictureInBrowser : public ::testing::Test {
 protected:
  void SetUp() override {
    const Outcome found = run({"/bin/sh", "-c", "command -v chromium || command -v chromium-browser || command -v google-chrome"});
    if (found.status != 0) GTEST_SKIP() << "no Chromium here: the pages are not opened";
    browser_ = found.out.substr(0, found.out.find('\n'));
    folder_ = ::testing::TempDir() + "/picture_in_browser_test." + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
  }

  std::string page() const { return folder_ + "/page.html"; }

  // The page as it stands when its script, and then `after`, has run.
  std::string opened(const std::string& after = "") {
    if (!after.empty()) {
      std::ifstream file(page());
      std::string html((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
      html.insert(html.rfind("</body>"), "<script>" + after + "</script>");
      std::ofstream(page()) << html;
    }
    const Outcome outcome = run({"/usr/bin/timeout", "120", browser_, "--headless", "--no-sandbox", "--disable-gpu",
                                 "--disable-dev-shm-usage", "--user-data-dir=" + folder_ + "/profile", "--dump-dom", "file://" + page()});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.out;
  }

  std::string browser_, folder_;
};

TEST_F(PictureInBrowser, TheMachine) {
  ASSERT_EQ(run({TUTTI_TOPO, "--system", "dgx-h100:2+mi300x:2", "--html", page()}).status, 0);
  const std::string dom = opened(
      "document.querySelector('[data-i] rect').dispatchEvent(new MouseEvent('mousemove', {bubbles: true, clientX: 5, clientY: 5}));"
      "document.documentElement.dataset.lit = String(document.querySelectorAll('.w.on').length);"
      "document.documentElement.dataset.told = document.getElementById('tip').textContent;");
  EXPECT_TRUE(contains(dom, "data-ready=\"67 items, 0 hops\"")) << dom.substr(0, 400);
  EXPECT_FALSE(contains(dom, "data-error=")) << dom.substr(0, 400);
  EXPECT_FALSE(contains(dom, "data-lit=\"0\"")) << dom.substr(0, 400);
  EXPECT_TRUE(contains(dom, "links that leave it")) << dom.substr(0, 400);
}

TEST_F(PictureInBrowser, ThePlanAndItsChannels) {
  const Outcome written = run({TUTTI_PLAN, "all_reduce", "--system", "dgx-h100", "--bytes", "1M", "--algorithm", "ring", "--html", page()});
  ASSERT_EQ(written.status, 0) << written.err;
  const std::string dom = opened(
      "var root = document.documentElement.dataset, shown = function () {"
      "return String(document.querySelectorAll('.ch:not(.off)').length) + '/' + String(document.querySelectorAll('.ch').length); };"
      "var press = function (words) { Array.from(document.querySelectorAll('button')).filter(function (b) {"
      "return b.textContent === words; })[0].click(); };"
      "root.before = shown(); press('1'); root.picked = shown(); press('none'); root.without = shown(); press('all'); root.after = shown();"
      "press('links by load'); root.load = String(document.querySelector('svg').classList.contains('byload'));"
      "press('light / dark'); root.dark = getComputedStyle(document.body).backgroundColor;");
  EXPECT_FALSE(contains(dom, "data-error=")) << dom.substr(0, 600);
  for (const char* part :
       {"data-picked=\"1/4\"", "data-without=\"0/4\"", "data-after=\"4/4\"", "data-load=\"true\"", "data-dark=\"rgb(18, 22, 28)\""}) {
    EXPECT_TRUE(contains(dom, part)) << part << "\n" << dom.substr(0, 600);
  }
}

}  // namespace
}  // namespace tutti
