// What makes the console quicker to use. Every page works without it.
"use strict";
(() => {
  const mac = /Mac|iPhone|iPad/.test(navigator.platform);
  for (const kbd of document.querySelectorAll("[data-keys]")) {
    kbd.textContent = mac ? "⌘K" : "Ctrl K";
  }

  // Menus: Escape and a press elsewhere close them.
  const menus = () => document.querySelectorAll("details.menu[open]");
  document.addEventListener("click", (event) => {
    for (const menu of menus()) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  // Copy buttons are only there when there is a clipboard.
  const offerCopy = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
  };
  offerCopy(document);
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const text = button.parentElement.querySelector("code").textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });

  // The palette: the list of /console/commands in a dialog.
  const palette = document.getElementById("palette");
  const trigger = document.querySelector("[data-palette]");
  const filter = (root) => {
    const input = root.querySelector("[data-commands-filter]");
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of root.querySelectorAll(".commands-list li")) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      if (!item.hidden) shown += 1;
    }
    root.querySelector(".commands-none").hidden = shown > 0;
  };
  const openPalette = async () => {
    if (!palette || !trigger || palette.open) return;
    const here = document.querySelector("main [data-commands-filter]");
    if (here) {
      here.focus();
      return;
    }
    if (!palette.firstElementChild) {
      try {
        const answer = await fetch(trigger.href, { headers: { "HX-Request": "true" } });
        if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
        palette.innerHTML = await answer.text();
      } catch {
        location.href = trigger.href;
        return;
      }
    }
    palette.showModal();
    const input = palette.querySelector("[data-commands-filter]");
    input.value = "";
    filter(palette);
    input.focus();
  };
  trigger?.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    openPalette();
  });
  palette?.addEventListener("click", (event) => {
    if (event.target === palette) palette.close();
  });
  document.addEventListener("input", (event) => {
    const root = event.target.matches?.("[data-commands-filter]") && event.target.closest(".commands");
    if (root) filter(root);
  });
  document.addEventListener("submit", (event) => {
    const first = palette?.open && event.target.closest(".commands-form") &&
      palette.querySelector(".commands-list li:not([hidden]) a");
    if (first) {
      event.preventDefault();
      location.href = first.href;
    }
  });

  const step = (links, by) => {
    const at = links.indexOf(document.activeElement);
    const next = links[at + by];
    next?.focus();
    return Boolean(next);
  };
  const rowLink = (row) => row.querySelector("th a, td a");

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      openPalette();
      return;
    }
    if (event.key === "Escape") {
      for (const menu of menus()) {
        if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
        menu.open = false;
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const commands = event.target.closest?.(".commands");
    if (commands && by) {
      const input = commands.querySelector("[data-commands-filter]");
      const links = [input, ...commands.querySelectorAll(".commands-list li:not([hidden]) a")];
      if (step(links, by)) event.preventDefault();
      return;
    }
    // In a table, up and down go from row to row along the links that head them.
    const table = event.target.matches?.("a") && event.target.closest("table[data-table]");
    if (table && by) {
      const links = [...table.tBodies[0].rows].map(rowLink).filter(Boolean);
      if (links.includes(document.activeElement) && step(links, by)) event.preventDefault();
    }
  });

  // Parts that fetch themselves again can be paused, for all parts of the page at once.
  let paused = false;
  for (const note of document.querySelectorAll("[data-live-note]")) note.hidden = !window.htmx;
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-live-pause]");
    if (!button) return;
    paused = !paused;
    for (const each of document.querySelectorAll("[data-live-pause]")) {
      each.textContent = paused ? "Go on" : "Pause";
      each.setAttribute("aria-pressed", String(paused));
    }
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target.closest?.("[data-live]");
    // Nothing is put under the hands of somebody who is in it, or has opened a seal in it.
    const busy = part && (part.contains(document.activeElement) || part.querySelector(":popover-open"));
    if (part && (paused || busy || document.hidden)) event.preventDefault();
  });
  document.addEventListener("htmx:afterSwap", (event) => offerCopy(event.target));
})();
