// Comfort only: every page works without this file.
(function () {
  "use strict";
  var find = function (selector) { return document.querySelector(selector); };
  // A reader hears what to fix first.
  var summary = find(".sum");
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

  // The password may be looked at; it is hidden again before it is sent, so that browsers keep it as a password.
  var password = find("#password"), reveal = find("#reveal");
  if (password && reveal) {
    var says = reveal.dataset;
    var show = function (seen) {
      password.type = seen ? "text" : "password";
      reveal.textContent = seen ? says.hide : says.show;
    };
    reveal.hidden = false;
    reveal.addEventListener("click", function () {
      var seen = password.type === "password";
      show(seen);
      find("#revealed").textContent = seen ? says.on : says.off;
    });
    password.form.addEventListener("submit", function () { show(false); });
    addEventListener("pageshow", function (event) {
      show(false);
      if (event.persisted) password.value = "";
    });
  }

  // The hyphen comes by itself. The caret stays behind the figure it was behind; nothing else is touched.
  var number = find("#pid");
  var neatly = function (digits, country) {
    var part = function (at, mark) { return digits.slice(0, at) + mark + digits.slice(at); };
    var much = digits.length;
    if (country === "DK" && much > 6) return part(6, "-");
    if (country === "NO" && much > 6) return part(6, " ");
    // Ten figures or twelve: which of them is known when they are all there.
    if (country === "SE" && much > 9) return much === 11 ? digits : part(much - 4, "-");
    return null;
  };
  if (number) number.addEventListener("input", function (event) {
    var text = number.value;
    if (event.isComposing || !/^[\d\s.-]*$/.test(text)) return;
    var neat = neatly(text.replace(/\D/g, ""), number.dataset.number);
    if (neat === null || neat === text) return;
    var behind = text.slice(0, number.selectionStart).replace(/\D/g, "").length, caret = 0;
    while (behind > 0) if (/\d/.test(neat[caret++])) behind--;
    number.value = neat;
    number.setSelectionRange(caret, caret);
  });

  // Five minutes before the page closes it asks whether somebody is still there; Escape is yes.
  var more = find("#more"), form = find("#f");
  if (more && more.showModal && form && form.elements._n) {
    var ends, timer, seen, yes = find("#more-yes"), said = find("#more-n"), heading = find("#more-h").textContent;
    var yesText = yes.textContent;
    var press = function (what) { return new URLSearchParams({ _n: form.elements._n.value, do: what }); };
    // What was typed is not lost where it may be kept, and is not left on the screen.
    var closes = function () {
      var field = document.createElement("input");
      field.type = "hidden"; field.name = "do"; field.value = "late";
      form.append(field);
      HTMLFormElement.prototype.submit.call(form);
    };
    var look = function () {
      clearTimeout(timer);
      var left = ends - Date.now(), minutes = Math.ceil(left / 60000), last = "last" in more.dataset;
      if (left <= 0) { closes(); return; }
      if (minutes <= 5) {
        // Whole minutes, said when they change: more would drown the button.
        var text = (last ? more.dataset.ends : more.dataset.says).replace("{n}", minutes);
        if (said.textContent !== text) said.textContent = text;
        if (!more.open && !seen) {
          seen = true;
          find("#more-h").textContent = last ? more.dataset.h : heading;
          yes.textContent = last ? more.dataset.ok : yesText;
          if (find("#more-no")) find("#more-no").hidden = last;
          more.showModal();
          yes.focus();
        }
      }
      timer = setTimeout(look, minutes <= 5 ? left % 60000 || 60000 : left - 300000);
    };
    var counts = function (left) { ends = Date.now() + left * 1000; seen = false; look(); };
    var extend = function () {
      more.close();
      if ("last" in more.dataset) return;
      fetch(form.getAttribute("action"), { method: "POST", body: press("more") })
        .then(function (answer) { return answer.json(); })
        .then(function (told) {
          if (told.last) more.dataset.last = "";
          find("#until").textContent = told.says;
          counts(told.left);
        })
        .catch(function () { seen = false; timer = setTimeout(look, 3000); });  // away for a moment: asked again
    };
    yes.addEventListener("click", extend);
    more.addEventListener("cancel", function (event) { event.preventDefault(); extend(); });
    // A machine that slept, or a page come Back to, has not counted.
    document.addEventListener("visibilitychange", function () { if (!document.hidden) look(); });
    addEventListener("pageshow", function (event) { if (event.persisted) look(); });
    counts(Number(more.dataset.left));
  }

  // A code from a text message is filled in, never sent; an old one is not there when somebody comes Back.
  var code = find("#code[autocomplete]");
  if (code) {
    addEventListener("pageshow", function (event) {
      var kept = performance.getEntriesByType("navigation")[0];
      if (event.persisted || (kept && kept.type === "back_forward")) code.value = "";
    });
    if (code.dataset.channel === "sms" && "OTPCredential" in window) {
      var given = new AbortController();
      code.form.addEventListener("submit", function () { given.abort(); });
      navigator.credentials.get({ otp: { transport: ["sms"] }, signal: given.signal }).then(function (got) {
        if (!code.value) code.value = got.code;
      }, function () {});
    }
  }
})();
