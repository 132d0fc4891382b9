// Keyboard shortcuts for marking: digits choose points, Enter saves, c goes to the comment, n to the next answer.
"use strict";

const form = document.querySelector("form[data-following]");
const comment = form.querySelector("textarea");
const choices = form.querySelectorAll("input[type=radio]");

function handleKeyInComment(event) {
  if (event.key === "Escape") {
    (form.querySelector("input[type=radio]:checked") || choices[0]).focus();
  } else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    form.requestSubmit();
  }
}

document.addEventListener("keydown", (event) => {
  if (event.target === comment) {
    handleKeyInComment(event);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const chosen = /^[0-9]$/.test(event.key) ? choices[Number(event.key)] : undefined;
  if (chosen) {
    chosen.checked = true;
    chosen.focus();
  } else if (event.key === "c") {
    event.preventDefault(); // or the letter would be typed into the comment
    comment.focus();
  } else if (event.key === "n") {
    location.assign(form.dataset.following);
  } else if (event.key === "Enter" && !event.target.closest("a, button")) {
    event.preventDefault();
    form.requestSubmit();
  }
});
