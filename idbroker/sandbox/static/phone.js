// Comfort only: what waits is looked at every two seconds. Without script there is a link for it.
(function () {
  "use strict";
  var lists = document.querySelectorAll(".waiting");
  if (!lists.length) return;
  function renew(text) {
    var now = new DOMParser().parseFromString(text, "text/html");
    lists.forEach(function (list) {
      var newer = now.getElementById(list.id);
      // Nothing moves away from under a finger.
      if (!newer || newer.innerHTML === list.innerHTML || list.contains(document.activeElement)) return;
      list.replaceChildren.apply(list, Array.from(newer.childNodes));
    });
  }
  setInterval(function () {
    if (document.hidden) return;
    fetch(location.pathname + location.search).then(function (answer) { return answer.ok ? answer.text() : ""; })
      .then(renew, function () { /* asked again in two seconds */ });
  }, 2000);
})();
