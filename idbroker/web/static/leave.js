// Goes on when every service has been told in its frame, or after a while. Without script the person presses.
(function () {
  "use strict";
  var on = document.getElementById("on");
  var gone = false;
  function go() {
    if (gone) { return; }
    gone = true;
    location.replace(on.href);
  }
  if (document.readyState === "complete") { go(); } else { addEventListener("load", go); }
  setTimeout(go, 4000);
})();
