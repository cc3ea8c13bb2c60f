// The page around a picture. It is XML and HTML at once; its script is small and works on what the SVG holds.
#include "topology/picture.h"
#include "topology/picture_svg.h"
#include "topology/picture_words.h"

namespace tutti {
namespace {

constexpr const char* kPageStyle = R"(
html,body{margin:0;background:#fff} body{font:13px system-ui,'Segoe UI',Roboto,'DejaVu Sans',Helvetica,Arial,sans-serif;color:#1d2530}
main{padding:8px;text-align:center} #bar{display:flex;flex-wrap:wrap;gap:6px;align-items:center;padding:8px 14px;border-bottom:1px solid #c9d0d8}
#bar span{color:#5c6672;margin:0 2px 0 8px}
button{font:inherit;padding:3px 10px;border:1px solid #c9d0d8;border-radius:6px;background:#f4f6f8;color:inherit;cursor:pointer}
button[aria-pressed=true]{background:#2f62e8;border-color:#2f62e8;color:#fff} #push{flex:1}
#tip{position:fixed;pointer-events:none;white-space:pre;background:#1d2530;color:#f2f5f8;padding:6px 10px;border-radius:6px;line-height:1.45;
 font-size:12px;box-shadow:0 2px 10px rgba(0,0,0,.35);display:none;z-index:2}
)";
constexpr const char* kDarkPage =
    "html,body{background:#12161c} body{color:#e6eaf0} #bar{border-color:#38424e} button{background:#222a34;border-color:#38424e} "
    "#bar span{color:#9fabb8} #tip{background:#e6eaf0;color:#12161c}";

// Rules as above, each for a root in the dark.
std::string dark_page(const std::string& root) {
  std::string out, rules = kDarkPage;
  while (!rules.empty()) {
    const size_t end = rules.find('}') + 1;
    std::string rule = rules.substr(0, end);
    rules.erase(0, rules.find_first_not_of(' ', end) == std::string::npos ? rules.size() : rules.find_first_not_of(' ', end));
    out += rule.rfind("html,", 0) == 0 ? root + "," + root + " " + rule.substr(5) : root + " " + rule;
  }
  return out + "\n";
}

constexpr const char* kScript = R"((function () {
  'use strict';
  var root = document.documentElement, svg = document.querySelector('svg.tutti'), bar = document.getElementById('bar');
  var tip = document.getElementById('tip'), all = function (s) { return Array.prototype.slice.call(svg.querySelectorAll(s)); };
  function button(words, act, title) {
    var b = document.createElement('button');
    b.type = 'button'; b.textContent = words; b.title = title || '';
    b.addEventListener('click', act);
    bar.insertBefore(b, document.getElementById('push'));
    return b;
  }
  function press(b, on) { b.setAttribute('aria-pressed', on ? 'true' : 'false'); }
  // The SVG's own tooltips become ours: at once, and with lines.
  all('title').forEach(function (t) { t.parentNode.setAttribute('data-tip', t.textContent); t.remove(); });
  var shown = null;
  function light(item) {
    all('.on').forEach(function (e) { e.classList.remove('on'); });
    svg.classList.toggle('hot', item !== null);
    if (item === null) return;
    all('[data-a="' + item + '"] .w, [data-b="' + item + '"] .w, [data-f="' + item + '"], [data-t="' + item + '"]')
      .forEach(function (e) { e.classList.add('on'); });
  }
  svg.addEventListener('mousemove', function (event) {
    var at = event.target.closest('[data-tip]');
    tip.style.display = at ? 'block' : 'none';
    if (at) {
      if (tip.textContent !== at.getAttribute('data-tip')) tip.textContent = at.getAttribute('data-tip');
      var x = event.clientX + 14, y = event.clientY + 16;
      if (x + tip.offsetWidth > window.innerWidth) x = Math.max(0, event.clientX - 14 - tip.offsetWidth);
      if (y + tip.offsetHeight > window.innerHeight) y = Math.max(0, event.clientY - 12 - tip.offsetHeight);
      tip.style.left = x + 'px'; tip.style.top = y + 'px';
    }
    var holder = event.target.closest('[data-i]'), item = holder ? holder.getAttribute('data-i') : null;
    if (item !== shown) { shown = item; light(item); }
  });
  svg.addEventListener('mouseleave', function () { tip.style.display = 'none'; shown = null; light(null); });
  // Channels: all, none or one.
  var channels = all('.ch'), picks = [];
  function pick(which) {
    channels.forEach(function (c, i) { c.classList.toggle('off', which !== 'all') ; if (which === i) c.classList.remove('off'); });
    picks.forEach(function (p) { press(p.button, p.which === which); });
  }
  if (channels.length) {
    var label = document.createElement('span');
    label.textContent = channels.length === 1 ? 'The plan' : 'Channel';
    bar.insertBefore(label, document.getElementById('push'));
    var names = channels.map(function (c, i) { return channels.length === 1 ? null : i; }).filter(function (n) { return n !== null; });
    ['all'].concat(names.slice(0, 16), ['none']).forEach(function (which) {
      var words = channels.length === 1 ? (which === 'all' ? 'shown' : 'hidden') : String(which);
      picks.push({ which: which, button: button(words, function () { pick(which); }) });
    });
    if (names.length > 16) {
      var next = 15;
      button('next', function () { next = (next + 1) % names.length; pick(next); }, 'the channels from 16 on, one after the other');
    }
    all('.pick').forEach(function (p) { p.addEventListener('click', function () { pick(Number(p.getAttribute('data-c'))); }); });
    var off = all('.ch.off').length;
    pick(off ? 0 : 'all');
  }
  if (svg.querySelector('.w.l0, .w.l1, .w.l2, .w.l3, .w.l4, .w.l5')) {
    var by = button('links by load', function () {
      press(by, svg.classList.toggle('byload'));
    }, 'grey: idle, green: less than half of the time, yellow, orange, red: busy nearly all of it');
    press(by, false);
  }
  button('light / dark', function () {
    var dark = root.dataset.theme ? root.dataset.theme === 'dark' : window.matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
  });
  root.dataset.ready = String(all('[data-i]').length) + ' items, ' + String(all('.hop[data-f]').length) + ' hops';
}());
)";

}  // namespace

std::string picture_html(const Graph& graph, const PictureOverlay* overlay) {
  const std::string title = picture::escaped(overlay != nullptr ? graph.name + ": " + overlay->title : graph.name);
  return "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head><meta charset=\"utf-8\"/>"
         "<meta name=\"viewport\" content=\"width=device-width\"/><meta name=\"color-scheme\" content=\"light dark\"/><title>" +
         title + "</title>\n<style>" + kPageStyle + "@media (prefers-color-scheme:dark){" + dark_page(":root:not([data-theme=light])") +
         "}\n" + dark_page(":root[data-theme=dark]") +
         "</style></head>\n<body><div id=\"bar\"><b>Tutti</b><span id=\"push\"></span></div>\n<main>\n" +
         picture::draw(graph, overlay, true) + "</main>\n<div id=\"tip\"></div>\n<script>/*<![CDATA[*/\n" +
         "window.addEventListener('error', function (e) { document.documentElement.dataset.error = e.message; });\n" + kScript +
         "/*]]>*/</script>\n</body></html>\n";
}

}  // namespace tutti
