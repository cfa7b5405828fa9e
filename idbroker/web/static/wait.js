// Comfort only: the page works without this file, by its button and the frame in its <noscript>.
(function () {
  "use strict";
  var form = document.getElementById("f"), base = form.dataset.base;
  var said = document.getElementById("state"), approved = document.getElementById("approved");
  var dots = document.getElementById("dots"), opener = document.getElementById("open");
  var big = document.getElementById("big"), enlarge = document.getElementById("enlarge");
  var timer, asking, going = 0, quiet = false;

  function each(selector, act) { document.querySelectorAll(selector).forEach(act); }

  // ---- what the server said -------------------------------------------------------------------
  function told(news) {
    if (news.to) { quiet = true; location.replace(base + "/" + news.to); return; }
    if (news.device !== form.dataset.device) { quiet = true; location.replace(base + "/wait"); return; }
    if (news.state !== form.dataset.state) change(news.state);
    // Only when it differs: a screen reader says each change once.
    if (said.textContent !== news.says) said.textContent = news.says;
    if (news.path) draw(news);
    if (news.link && opener) opener.href = news.link;
    if (news.go && Date.now() - going > 10000) { going = Date.now(); approved.click(); }
  }

  function change(state) {
    var within = big && big.open;
    if (within) big.close();
    said.classList.replace(form.dataset.state, state);
    form.dataset.state = state;
    each("[data-when]", function (part) {
      var here = part.dataset.when.split(" ").indexOf(state) >= 0;
      // Focus does not vanish with what had it.
      if (!here && (within || part.contains(document.activeElement))) document.getElementById("main").focus();
      part.hidden = !here;
    });
  }

  function draw(news) {
    if (!dots) return;
    dots.setAttribute("d", news.path);
    each("#code svg, #big svg", function (code) { code.setAttribute("viewBox", news.box); });
    document.getElementById("code").hidden = false;
  }

  // ---- asking ---------------------------------------------------------------------------------
  function ask() {
    clearTimeout(timer);
    if (asking) asking.abort();
    var mine = asking = new AbortController();
    var limit = setTimeout(function () { mine.abort(); }, 8000);
    var pause = 1000;
    fetch(base + "/wait.json", { signal: mine.signal, cache: "no-store" })
      .then(function (answer) { return answer.json(); })
      .then(told)
      .catch(function () { pause = 3000; })  // away for a moment: asked again
      .then(function () {
        clearTimeout(limit);
        if (mine === asking) timer = setTimeout(ask, document.hidden ? 5000 : pause);
      });
  }
  document.addEventListener("visibilitychange", function () { if (!document.hidden) ask(); });
  addEventListener("pageshow", function (event) { if (event.persisted) { quiet = false; going = 0; ask(); } });

  // ---- leaving: the order is cancelled, unless the person is in the app or goes on ---------------
  form.addEventListener("submit", function (event) { if (!event.defaultPrevented) quiet = true; });
  if (opener) opener.addEventListener("click", function () { quiet = true; });
  addEventListener("pagehide", function () {
    if (quiet || !navigator.sendBeacon) return;
    navigator.sendBeacon(base + "/left", new URLSearchParams({ _n: form.elements._n.value }));
  });

  // ---- the bigger code ------------------------------------------------------------------------
  if (big && big.showModal) {
    enlarge.hidden = false;
    enlarge.addEventListener("click", function () { big.showModal(); });
    document.getElementById("close").addEventListener("click", function () { big.close(); });
  }

  approved.hidden = true;
  ask();
})();
