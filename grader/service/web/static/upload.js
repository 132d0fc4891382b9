// Lets files be dropped onto the form, and shows which ones were chosen. The form also works without this script.
"use strict";

function describe(files) {
  const names = Array.from(files, (file) => file.name);
  const more = names.length > 3 ? ` and ${names.length - 3} more` : "";
  const size = Array.from(files).reduce((sum, file) => sum + file.size, 0);
  return names.length ? `${names.slice(0, 3).join(", ")}${more}, ${(size / 2 ** 20).toFixed(1)} MB` : "";
}

for (const form of document.querySelectorAll("form[data-drop]")) {
  const input = form.querySelector("input[type=file]");
  const chosen = document.getElementById(input.getAttribute("aria-describedby"));
  const show = () => { chosen.textContent = describe(input.files); };
  chosen.textContent = "or drop them here";
  input.addEventListener("change", show);
  for (const kind of ["dragenter", "dragover"]) {
    form.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("over"); });
  }
  form.addEventListener("dragleave", (event) => {
    if (!form.contains(event.relatedTarget)) form.classList.remove("over");
  });
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    if (event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      show();
    }
  });
  form.addEventListener("submit", () => {
    chosen.textContent = `sending ${describe(input.files)} …`;
    form.querySelector("button").disabled = true;
  });
}
// A page that the browser restores from memory still has its button disabled.
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("form[data-drop] button")) button.disabled = false;
});
