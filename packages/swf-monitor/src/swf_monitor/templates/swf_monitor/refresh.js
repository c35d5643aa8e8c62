// SPDX-License-Identifier: GPL-3.0-or-later
// Refreshes the content of the page every few seconds. Whatever the reader does, a page without an
// answer of the monitor looks like one: also with selected text, in a hidden tab, after a suspend.
"use strict";
(() => {
  const PERIOD = 5000, PERIOD_HIDDEN = 10000, TIMEOUT = 4000, STALE = 20000;
  const content = document.getElementById("content");
  const notice = document.getElementById("lost");
  const address = new URL(location.href);
  address.hash = "";
  address.searchParams.set("part", "content");
  let answered = Date.now(), asked = answered, failed = false, waiting = null;

  const selecting = () => {
    const selection = document.getSelection();
    return !selection.isCollapsed && selection.containsNode(content, true);
  };

  const replace = () => {
    const focused = content.contains(document.activeElement) ? document.activeElement : null;
    const link = focused && focused.getAttribute("href");
    const number = link ? [...content.querySelectorAll("a")].filter((a) => a.getAttribute("href") === link).indexOf(focused) : 0;
    content.replaceChildren(waiting);
    waiting = null;
    if (link) [...content.querySelectorAll("a")].filter((a) => a.getAttribute("href") === link)[number]?.focus({ preventScroll: true });
  };

  const show = () => {
    const seconds = Math.round((Date.now() - answered) / 1000);
    const stale = failed || Date.now() - answered > STALE;
    document.documentElement.classList.toggle("stale", stale);
    if (waiting && !stale && !selecting()) replace();
    if (stale) notice.textContent = `No answer from the monitor for ${seconds} s. The page shows its last state.`;
    else if (waiting) notice.textContent = "Text is selected, so the page waits with its newer state.";
    notice.hidden = !stale && !waiting;
    document.title = stale
      ? `✕ No answer for ${seconds} s · SWF monitor`
      : (waiting || content).querySelector("[data-title]").dataset.title;
  };

  const refresh = async () => {
    asked = Date.now();
    show();
    try {
      const response = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
      if (response.status === 401) return location.reload();
      if (!response.headers.has("X-SWF-Monitor")) throw new Error("not the monitor");
      const template = document.createElement("template");
      template.innerHTML = await response.text();
      waiting = template.content;
      answered = Date.now();
      failed = false;
    } catch {
      failed = true;
    }
    show();
  };

  setInterval(() => {
    if (!document.hidden || Date.now() - asked >= PERIOD_HIDDEN) refresh();
  }, PERIOD);
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  document.addEventListener("selectionchange", show);
  addEventListener("pageshow", (event) => event.persisted && refresh());
})();
