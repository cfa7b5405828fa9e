// The answer goes to the service by itself. Without script the person presses the button.
(function () {
  "use strict";
  var form = document.getElementById("f");
  // A press on the button after this would send the same one-time code twice.
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  // Not form.submit(): a parameter named "submit" would stand in its place.
  HTMLFormElement.prototype.submit.call(form);
})();
