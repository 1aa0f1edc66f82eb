// Opens pages of a running server in a real browser and checks what people need of them.
//
//   node check.mjs --base http://127.0.0.1:3010 --paths /console,/console/billing --out DIR
//     [--cookie name=value]... [--chromium /usr/bin/chromium] [--quick]
//
// For every path, in light and dark, 320, 768 and 1360 px wide: axe finds nothing (WCAG 2.2 A and
// AA, and its best practices), also with menus and a seal open; nothing scrolls sideways; no
// message on the console, no violation of the content security policy. Dark is the same page with
// other colours (light-dark() in its styles), so there the rules about colours are asked; of menus and a
// seal, what was opened. With --quick two widths. At 320 and 1360 px: every
// tab stop shows its focus, is not hidden, comes in the order of the document, and none is a trap;
// a seal opens and closes by keyboard; the palette opens. Without script: the page has its heading,
// no dead button, and the seal opens. Prints one line a finding and exits 1 when there is one.

import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { checkKeyboard, checkPalette, checkSeal } from "./keyboard.mjs";

export const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const AT_ONCE = 3;
// A machine with two cores that also builds, serves and detects is slow, which is not a finding.
const PATIENCE_MS = 90_000;
const WIDTHS = [320, 768, 1360];
// The rules whose answer depends on colours.
const COLOURS = ["color-contrast", "link-in-text-block"];
const SCHEMES = ["light", "dark"];
const AXE = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };

function parse(argv) {
  const args = { paths: [], cookies: [], out: "", base: "", chromium: "/usr/bin/chromium", quick: false };
  for (let i = 0; i < argv.length; i += 1) {
    const value = () => {
      i += 1;
      if (argv[i] === undefined) throw new Error(`${argv[i - 1]} needs a value`);
      return argv[i];
    };
    switch (argv[i]) {
      case "--base": args.base = value().replace(/\/$/, ""); break;
      case "--paths": args.paths = value().split(",").filter(Boolean); break;
      case "--out": args.out = value(); break;
      case "--cookie": args.cookies.push(value()); break;
      case "--chromium": args.chromium = value(); break;
      case "--quick": args.quick = true; break;
      default: throw new Error(`unknown argument ${argv[i]}`);
    }
  }
  if (!args.base || !args.paths.length || !args.out) {
    throw new Error("--base, --paths and --out are needed");
  }
  return args;
}

const slug = (p) => p.replace(/^\//, "").replace(/[^a-z0-9]+/gi, "-").replace(/-$/, "") || "root";

/** For each browser its contexts: with script and without, by what is signed in. */
const contexts = new WeakMap();

/** A context is made once: it takes as long as a page, and one of its own would load all styles again. */
function contextOf(browser, args, script) {
  if (!contexts.has(browser)) contexts.set(browser, new Map());
  const made = contexts.get(browser);
  const key = JSON.stringify([script, args.cookies]);
  if (!made.has(key)) {
    made.set(key, (async () => {
      const context = await browser.newContext({ javaScriptEnabled: script, reducedMotion: "reduce" });
      await context.addCookies(args.cookies.map((pair) => {
        const at = pair.indexOf("=");
        return { name: pair.slice(0, at), value: pair.slice(at + 1), url: args.base };
      }));
      return context;
    })());
  }
  return made.get(key);
}

/** A page: `width`, `scheme`, and whether script runs. */
export async function open(browser, args, options) {
  const { width, scheme, script = true } = options;
  const context = await contextOf(browser, args, script);
  const page = await context.newPage();
  await page.setViewportSize({ width, height: width < 500 ? 640 : 900 });
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  page.setDefaultTimeout(PATIENCE_MS);
  const noise = [];
  page.on("console", (m) => {
    // A page that answers 4xx on purpose is reported by the browser as a failed resource.
    const own = m.text().startsWith("Failed to load resource") && m.location().url === page.url();
    if (["error", "warning"].includes(m.type()) && !own) noise.push(`console ${m.type()}: ${m.text()}`);
  });
  page.on("pageerror", (e) => noise.push(`script error: ${e.message}`));
  page.on("requestfailed", (r) => noise.push(`request failed: ${r.url()}`));
  page.on("request", (r) => {
    if (!r.url().startsWith(args.base) && !r.url().startsWith("data:")) {
      noise.push(`request to another host: ${r.url()}`);
    }
  });
  return { page, noise };
}

/**
 * What axe finds, of the page or `within` what a selector names; with `colours` only what depends on them. `when` stands in
 * the findings.
 */
export async function axe(page, source, { when = "", within = "", colours = false }) {
  if (!await page.evaluate(() => "axe" in globalThis)) await page.evaluate(source);
  // What lies under an open menu is covered on purpose; its size was checked before.
  const all = when ? { ...AXE, rules: { "target-size": { enabled: !when.includes("menus") } } } : AXE;
  const options = colours ? { runOnly: { type: "rule", values: COLOURS } } : all;
  const found = await page.evaluate(([selector, o]) => {
    if (!selector) return globalThis.axe.run(document, o);
    const parts = [...document.querySelectorAll(selector)];
    return parts.length ? globalThis.axe.run({ include: parts }, o) : { violations: [] };
  }, [within, options]);
  return found.violations.flatMap((v) =>
    v.nodes.map((n) => `axe ${v.id}${when}: ${n.target.join(" ")} (${v.help}; ${n.any[0]?.message ?? ""})`));
}

export async function sideways(page) {
  return page.evaluate(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return [];
    const wide = [...document.body.querySelectorAll("*")].filter((e) => {
      const box = e.getBoundingClientRect();
      return box.width > 0 && box.right > root.clientWidth + 1 && !e.closest(".table-scroll, pre, .sr");
    });
    const names = wide.slice(0, 4).map((e) => `${e.tagName.toLowerCase()}.${e.getAttribute("class") ?? ""}`);
    return [`scrolls sideways: ${root.scrollWidth} > ${root.clientWidth} px; ${names.join(", ")}`];
  });
}

/**
 * The page as it stands, in both schemes: all of it, or `within` what was opened in it, which `when` says. `name` says where
 * the screenshot of a scheme goes, if it is wanted.
 */
export async function inBothSchemes(page, source, name, { when = "", within = "" } = {}) {
  const found = (await sideways(page)).map((f) => `${f}${when}`);
  for (const scheme of SCHEMES) {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    const colours = scheme !== SCHEMES[0];
    found.push(...(await axe(page, source, { when, within, colours })).map((f) => `${scheme}: ${f}`));
    const shot = name(scheme);
    if (shot) await page.screenshot({ path: shot, fullPage: !within });
  }
  await page.emulateMedia({ colorScheme: SCHEMES[0], reducedMotion: "reduce" });
  return found;
}

async function inColours(browser, args, source, where, width) {
  const { page, noise } = await open(browser, args, { width, scheme: SCHEMES[0] });
  const found = [];
  const name = (what) => (scheme) => path.join(args.out, `${slug(where)}-${width}-${scheme}${what}.png`);
  // Pictures of what is opened are for people.
  const opened = (what) => args.quick ? () => undefined : name(what);
  try {
    const answer = await page.goto(args.base + where, { waitUntil: "load" });
    if (!answer || answer.status() >= 500) found.push(`answered ${answer?.status()}`);
    if (!answer?.headers()["content-security-policy"]) found.push("has no content security policy");
    found.push(...await inBothSchemes(page, source, name("")));

    // The same with everything open that can be opened in place.
    const menus = await page.evaluate(() => {
      const all = [...document.querySelectorAll("details:not([name])")];
      const menu = document.querySelector("details[name]");
      if (menu) all.push(menu);
      for (const d of all) d.open = true;
      return all.length;
    });
    if (menus) {
      found.push(...await inBothSchemes(page, source, opened("-menus"), {
        when: " (menus open)", within: "details[open]",
      }));
      await page.evaluate(() => { for (const d of document.querySelectorAll("details")) d.open = false; });
    }
    const seal = page.locator(".seal[popovertarget]").first();
    if (await seal.count()) {
      await seal.click();
      const proof = page.locator(".proof:popover-open");
      if (!await proof.count()) found.push("the seal does not open");
      found.push(...await inBothSchemes(page, source, opened("-seal"), {
        when: " (seal open)", within: ".proof:popover-open",
      }));
      const box = await proof.boundingBox();
      if (box && (box.x < 0 || box.x + box.width > width)) found.push("the opened seal leaves the window");
    }
  } finally {
    await page.close();
  }
  return [...found, ...noise];
}

async function withKeys(browser, args, where, width) {
  const { page, noise } = await open(browser, args, { width, scheme: "light" });
  try {
    await page.goto(args.base + where, { waitUntil: "load" });
    const found = await checkKeyboard(page);
    // From the start of the page again.
    await page.evaluate(() => { document.activeElement?.blur(); scrollTo(0, 0); });
    found.push(...await checkSeal(page));
    found.push(...await checkPalette(page, path.join(args.out, `${slug(where)}-${width}-palette.png`)));
    return [...found, ...noise];
  } finally {
    await page.close();
  }
}

async function withoutScript(browser, args, where, width) {
  const { page, noise } = await open(browser, args, { width, scheme: "light", script: false });
  try {
    await page.goto(args.base + where, { waitUntil: "load" });
    const found = await page.evaluate(() => {
      const wrong = [];
      if (document.querySelectorAll("h1").length !== 1) wrong.push("has not exactly one h1");
      if (!document.title) wrong.push("has no title");
      for (const b of document.querySelectorAll("button")) {
        const dead = !b.form && !b.hasAttribute("popovertarget") && b.checkVisibility();
        if (dead) wrong.push(`dead button without script: ${b.textContent.trim()}`);
      }
      for (const f of document.forms) {
        if (!f.querySelector("button, input[type=submit]")) wrong.push(`form without a button: ${f.action}`);
      }
      return wrong;
    });
    found.push(...await sideways(page));
    const seal = page.locator(".seal[popovertarget]").first();
    if (await seal.count()) {
      await seal.click();
      if (!await page.locator(".proof:popover-open").count()) found.push("the seal needs script");
    }
    await page.screenshot({ path: path.join(args.out, `${slug(where)}-${width}-noscript.png`) });
    return [...found, ...noise];
  } finally {
    await page.close();
  }
}

/** The text of axe, to be run in a page. */
export async function axeSource() {
  const require = createRequire(import.meta.url);
  return readFile(require.resolve("axe-core/axe.min.js"), "utf8");
}

/** Does `work` for every item, a few at a time: most of a check is waiting for the browser. */
export async function sideBySide(items, work) {
  const left = [...items];
  const worker = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

/**
 * Does a check, and once more on a new page when the browser did not answer in time. What a
 * check has found is never asked a second time.
 */
export async function patiently(what, check) {
  try {
    return await check();
  } catch (error) {
    if (error.name !== "TimeoutError") throw error;
    process.stderr.write(`once more: ${what}: ${error.message.split("\n")[0]}\n`);
    return check();
  }
}

/** Checks every path of `args` and answers with the number of findings. */
export async function checkAll(args) {
  await mkdir(args.out, { recursive: true });
  const source = await axeSource();
  const profile = await mkdtemp(path.join(tmpdir(), "browser-"));
  const browser = await chromium.launch({
    executablePath: args.chromium,
    args: FLAGS,
    env: { ...process.env, HOME: profile },
  });
  const findings = [];
  const note = (where, how, found) => {
    for (const what of new Set(found)) findings.push({ path: where, how, what });
    process.stderr.write(`${found.length ? "✗" : "✓"} ${where} ${how}\n`);
  };
  const look = async (where, how, check) => note(where, how, await patiently(`${where} ${how}`, check));
  const one = async (where) => {
    const widths = args.quick ? [320, 1360] : WIDTHS;
    for (const width of widths) {
      await look(where, `${width} px`, () => inColours(browser, args, source, where, width));
    }
    for (const width of [320, 1360]) {
      await look(where, `${width} px keyboard`, () => withKeys(browser, args, where, width));
      await look(where, `${width} px without script`, () => withoutScript(browser, args, where, width));
    }
  };
  try {
    await sideBySide(args.paths, one);
  } finally {
    await browser.close();
    await rm(profile, { recursive: true, force: true });
  }
  const order = (finding) => args.paths.indexOf(finding.path);
  findings.sort((a, b) => order(a) - order(b));
  await writeFile(path.join(args.out, "findings.json"), `${JSON.stringify(findings, null, 2)}\n`);
  for (const f of findings) console.log(`${f.path} [${f.how}] ${f.what}`);
  console.log(`${args.paths.length} pages, ${findings.length} findings`);
  return findings.length;
}

// Called as a command, not imported by another one.
if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  Promise.resolve().then(() => checkAll(parse(process.argv.slice(2)))).then(
    (findings) => { process.exitCode = findings ? 1 : 0; },
    (error) => { console.error(error.message); process.exitCode = 2; },
  );
}
