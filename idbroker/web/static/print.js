// A page to be printed: with script there is a button for it, without the browser's own menu.
(function () {
  "use strict";
  var button = document.getElementById("print");
  button.hidden = false;
  button.addEventListener("click", function () { window.print(); });
})();
