// Comfort only: every page works without this file.
(function () {
  "use strict";
  // A reader hears what to fix first.
  var summary = document.querySelector(".sum");
  if (summary) summary.focus();
  // One submit in two seconds; the server gives a second one the same answer anyway.
  document.querySelectorAll("form").forEach(function (form) {
    var last = 0;
    form.addEventListener("submit", function (event) {
      var now = Date.now();
      if (now - last < 2000) { event.preventDefault(); return; }
      last = now;
    });
    // Coming Back to a kept page is not a second press.
    addEventListener("pageshow", function () { last = 0; });
  });
})();
