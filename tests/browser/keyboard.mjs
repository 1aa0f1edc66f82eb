// What a page must do for people who use the keyboard alone (WCAG 2.2: 2.1.1, 2.1.2, 2.4.3,
// 2.4.7, 2.4.11). axe cannot see these.

const MOST_STOPS = 400;

/** Walks through every tab stop. */
export async function checkKeyboard(page) {
  const found = [];
  const start = await page.evaluate(() => {
    globalThis.stops = [];
    return document.querySelectorAll('[tabindex]:not([tabindex="0"], [tabindex="-1"])').length;
  });
  if (start) found.push(`${start} elements have a positive tabindex`);
  for (let i = 0; i < MOST_STOPS; i += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const e = document.activeElement;
      if (!e || e === document.body) return { end: true };
      const text = (e.getAttribute("aria-label") ?? e.textContent ?? "").trim().replace(/\s+/g, " ").slice(0, 40);
      const name = `${e.tagName.toLowerCase()} “${text || e.name || e.id}”`;
      const before = globalThis.stops.at(-1);
      // Parts of a date field are stops of the same element.
      const parts = e.matches('input[type="date"], input[type="file"]');
      if (before === e && !parts) return { end: true, wrong: [`focus is trapped at ${name}`] };
      const wrong = [];
      if (globalThis.stops.includes(e) && !parts) return { end: true };
      if (before && before !== e && !(before.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING)) {
        wrong.push(`focus goes back in the document at ${name}`);
      }
      globalThis.stops.push(e);
      const style = getComputedStyle(e);
      const outlined = style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 2;
      if (!outlined && style.boxShadow === "none") wrong.push(`focus cannot be seen at ${name}`);
      // Of something taller than the window, the part inside of it is looked at.
      const whole = e.getBoundingClientRect();
      const [left, top] = [Math.max(0, whole.left), Math.max(0, whole.top)];
      const [right, bottom] = [Math.min(innerWidth, whole.right), Math.min(innerHeight, whole.bottom)];
      const inside = right > left && bottom > top;
      const box = inside ? { left, top, width: right - left, height: bottom - top } : whole;
      const points = [[0.5, 0.5], [0.1, 0.3], [0.9, 0.3], [0.1, 0.8], [0.9, 0.8]].map(([x, y]) =>
        [box.left + box.width * x, box.top + box.height * y]);
      const seen = points.some(([x, y]) => {
        const hit = document.elementFromPoint(x, y);
        return hit && (e.contains(hit) || hit.contains(e) && !hit.matches("body, html"));
      });
      const wide = points.some(([x, y]) => x >= 0 && y >= 0 && x < innerWidth && y < innerHeight);
      if (!seen) wrong.push(`focus is hidden at ${name} (${wide ? "covered" : "outside the window"})`);
      return { wrong };
    });
    found.push(...(stop.wrong ?? []));
    if (stop.end) {
      if (i < 2) found.push("nothing can be reached by keyboard");
      return found;
    }
  }
  return found;
}

/** Opens the first seal with Enter, closes it with Escape, and expects the focus back. */
export async function checkSeal(page) {
  const seal = page.locator(".seal[popovertarget]").first();
  if (!await seal.count()) return [];
  const found = [];
  const name = await seal.getAttribute("aria-label");
  if (!name?.startsWith("Proof of ")) found.push(`the seal is named “${name}”, not “Proof of …”`);
  await seal.focus();
  await page.keyboard.press("Enter");
  if (!await page.locator(".proof:popover-open").count()) found.push("the seal does not open with Enter");
  await page.keyboard.press("Tab");
  const inside = await page.evaluate(() => Boolean(document.activeElement?.closest(".proof")));
  if (!inside) found.push("Tab does not lead from the seal into what it opened");
  await page.keyboard.press("Escape");
  if (await page.locator(".proof:popover-open").count()) found.push("Escape does not close the seal");
  const back = await seal.evaluate((e) => document.activeElement === e);
  if (!back) found.push("the focus does not return to the seal");
  return found;
}

/** Opens the palette with Ctrl-K, types, goes down, and closes it. */
export async function checkPalette(page, shot) {
  if (!await page.locator("[data-palette]").count()) return [];
  // The page of the list itself needs no dialog with the same list.
  if (await page.locator("main [data-commands-filter]").count()) return [];
  const found = [];
  await page.keyboard.press("Control+k");
  const input = page.locator("#palette[open] [data-commands-filter]");
  try {
    await input.waitFor({ timeout: 3000 });
  } catch {
    return ["the palette does not open with Ctrl-K"];
  }
  await page.screenshot({ path: shot });
  const focused = await input.evaluate((e) => document.activeElement === e);
  if (!focused) found.push("the palette does not focus its field");
  await page.keyboard.press("ArrowDown");
  const link = await page.evaluate(() => Boolean(document.activeElement?.closest("#palette .commands-list")));
  if (!link) found.push("ArrowDown does not lead into the palette's list");
  await page.keyboard.press("Escape");
  if (await page.locator("#palette[open]").count()) found.push("Escape does not close the palette");
  return found;
}
