// A passkey is asked for by a button, and its answer goes into a form of the page. Without this file, or in a browser
// that knows no passkeys, the form stays hidden and the other way works.
(function () {
  "use strict";
  var keys = window.PublicKeyCredential;
  if (!keys || !keys.parseRequestOptionsFromJSON || !keys.parseCreationOptionsFromJSON) return;
  document.querySelectorAll("form[data-passkey]").forEach(function (form) {
    var making = form.dataset.passkey === "create";
    var ask = function () {
      var asked = JSON.parse(form.dataset.options);
      return making
        ? navigator.credentials.create({ publicKey: keys.parseCreationOptionsFromJSON(asked) })
        : navigator.credentials.get({ publicKey: keys.parseRequestOptionsFromJSON(asked) });
    };
    var busy = false;
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      if (busy) return;
      busy = true;
      ask().then(function (answer) {
        form.elements.credential.value = JSON.stringify(answer.toJSON());
        // Not form.submit(): the listener would ask again, and a field of that name would stand in its place.
        HTMLFormElement.prototype.submit.call(form);
      }).catch(function () { busy = false; });  // put away by the person: they may press again
    });
    form.hidden = false;
  });
})();
