// Keyboard shortcuts; every page works without them.
// V: view as another person.  /: filter or find.  Escape: close.
"use strict";

const panel = document.getElementById("switch");

function close(details) {
  if (details && details.open) {
    details.open = false;
    details.querySelector("summary").focus();
    return true;
  }
  return false;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "Escape") {
    const open = event.target.closest && event.target.closest("details[open]");
    if (close(open) || close(panel)) event.preventDefault();
  } else if (typing) {
    return;
  } else if (event.key.toLowerCase() === "v" && panel) {
    event.preventDefault();
    panel.open = true;
    const current = panel.querySelector("a[aria-current], a");
    if (current) current.focus();
  } else if (event.key === "/") {
    const field = document.querySelector("main input[type=search], main form.filter input:not([type=hidden])");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  }
});

document.addEventListener("click", (event) => {
  if (panel && panel.open && !panel.contains(event.target)) panel.open = false;
});
