// Keeps the parts of a page that are marked `data-live` as the server has them, as long as it says so.
"use strict";

const EVERY = 1500; // milliseconds
const SLOWEST = 30000;
let pause = EVERY;

// As the server had them: what the reader has opened since is no reason to renew a part.
const seen = new Map();
for (const part of document.querySelectorAll("[data-live]")) {
  seen.set(part.id, part.innerHTML);
}

function renew(page) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const now = page.getElementById(part.id);
    if (now && now.innerHTML !== seen.get(part.id)) {
      seen.set(part.id, now.innerHTML);
      part.replaceChildren(...now.childNodes);
    }
  }
  return page.querySelector('script[src="/static/live.js"]') !== null;
}

async function look() {
  let goesOn = true;
  if (!document.hidden) {
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.redirected) {
        location.reload(); // signed out
        return;
      }
      if (answer.ok) {
        goesOn = renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
      pause = answer.ok ? EVERY : Math.min(2 * pause, SLOWEST);
    } catch {
      pause = Math.min(2 * pause, SLOWEST); // the server is away, and will be back
    }
  }
  if (goesOn) {
    setTimeout(look, pause);
  }
}

setTimeout(look, pause);
