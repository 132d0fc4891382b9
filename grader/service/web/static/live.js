// Refreshes the parts of a page that are marked `data-live`, as long as the server includes this script.
"use strict";

const INTERVAL = 1500; // milliseconds
const LONGEST_INTERVAL = 30000;
let interval = INTERVAL;

// The last state from the server. A part that the reader has opened or closed since then is not a change.
const received = new Map();
for (const part of document.querySelectorAll("[data-live]")) {
  received.set(part.id, part.innerHTML);
}

function update(page) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const current = page.getElementById(part.id);
    if (current && current.innerHTML !== received.get(part.id)) {
      received.set(part.id, current.innerHTML);
      part.replaceChildren(...current.childNodes);
    }
  }
  return page.querySelector('script[src="/static/live.js"]') !== null;
}

async function refresh() {
  let isLive = true;
  if (!document.hidden) {
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (response.redirected) {
        location.reload(); // signed out
        return;
      }
      if (response.ok) {
        isLive = update(new DOMParser().parseFromString(await response.text(), "text/html"));
      }
      interval = response.ok ? INTERVAL : Math.min(2 * interval, LONGEST_INTERVAL);
    } catch {
      interval = Math.min(2 * interval, LONGEST_INTERVAL); // the server is away
    }
  }
  if (isLive) {
    setTimeout(refresh, interval);
  }
}

setTimeout(refresh, interval);
