// SPDX-License-Identifier: GPL-3.0-or-later
// Refreshes the content of the page every few seconds, and shows a notice when there is no answer.
"use strict";
(() => {
  const content = document.getElementById("content");
  const lost = document.getElementById("lost");
  let answered = Date.now();

  const refresh = async () => {
    // not in a hidden tab, and not while text is selected
    if (document.hidden || !document.getSelection().isCollapsed) return;
    try {
      const response = await fetch("?part=content", { cache: "no-store", signal: AbortSignal.timeout(4000) });
      if (!response.headers.has("X-SWF-Monitor")) throw new Error("not the monitor");
      content.innerHTML = await response.text();
      document.title = content.querySelector("[data-title]").dataset.title;
      answered = Date.now();
      lost.hidden = true;
    } catch {
      lost.querySelector("b").textContent = `${Math.round((Date.now() - answered) / 1000)} s`;
      lost.hidden = false;
    }
  };
  setInterval(refresh, 5000);
  document.addEventListener("visibilitychange", refresh);
})();
