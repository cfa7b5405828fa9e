// Comfort only: a button that copies the text beside it.
(function () {
  "use strict";
  if (!navigator.clipboard) return;
  document.querySelectorAll(".copy").forEach(function (block) {
    var button = document.createElement("button");
    button.type = "button";
    button.className = "btn sec small";
    button.textContent = "Copy";
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(block.textContent).then(function () { button.textContent = "Copied"; });
    });
    block.after(button);
  });
})();
