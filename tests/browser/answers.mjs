// The pages that answer a form: what was refused and why, and what is shown once. They have no
// address of their own, so each is reached as a person reaches it, and checked as check.mjs checks
// the others: axe and reflow in light and dark at three widths, with script and without, and once with
// nothing but the keyboard.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { axeSource, FLAGS, inBothSchemes, open, patiently, sideBySide, sideways } from "./check.mjs";

// Where, what is typed, what the answer must say. `unique` is replaced by something new each time.
const ANSWERS = [
  { name: "tenant-refused", at: "/console/access/tenants", type: { slug: "BAD ONE" }, status: 422, says: "slug" },
  { name: "tenant-created", at: "/console/access/tenants", type: { slug: "browser-UNIQUE" }, status: 200, says: "Created" },
  { name: "user-refused", at: "/console/access/users", type: { email: "nobody" }, status: 422, says: "mail" },
  { name: "user-invited", at: "/console/access/users", type: { email: "UNIQUE@example.org" }, status: 200, says: "/welcome/" },
  { name: "key-refused", at: "/console/access/keys", type: { scope: "nonsense" }, status: 422, says: "unknown scope" },
  { name: "key-shown-once", at: "/console/access/keys", type: { name: "browser", scope: "events:write" }, status: 200, says: "swk_" },
  { name: "source-refused", at: "/console/prometheus/sources", type: { name: "browser", url: "nowhere" }, status: 422, says: "is needed" },
  {
    name: "source-created", at: "/console/prometheus/sources", status: 200, says: "Created",
    type: {
      name: "browser-UNIQUE", url: "https://prometheus.example.com", expression: "up", tenant_label: "tenant", event_type: "example.up.v1",
    },
  },
];

let count = 0;
const unique = (text) => {
  count += 1;
  return text.replace("UNIQUE", `b${Date.now().toString(36)}${count}`);
};

/** The form that has the fields. */
function formOf(page, answer) {
  const [field] = Object.keys(answer.type);
  return page.locator("main form").filter({ has: page.locator(`[name="${field}"]`) }).last();
}

async function submit(page, args, answer) {
  await page.goto(args.base + answer.at, { waitUntil: "load" });
  const form = formOf(page, answer);
  // What the browser would refuse by itself, the server must refuse, too.
  await form.evaluate((f) => { f.noValidate = true; });
  for (const [name, text] of Object.entries(answer.type)) await form.locator(`[name="${name}"]`).fill(unique(text));
  const answered = page.waitForResponse((r) => r.request().isNavigationRequest() && r.status() !== 303);
  const loaded = page.waitForEvent("load");
  await form.locator("button").last().click();
  const response = await answered;
  await loaded;
  return response.status();
}

async function said(page, answer, status) {
  const found = [];
  if (status !== answer.status) found.push(`answered ${status}, not ${answer.status}`);
  const text = await page.locator("main, [role=status], .flash").allInnerTexts();
  const values = await page.locator("main input, main code").evaluateAll((all) => all.map((e) => e.value ?? e.textContent));
  if (![...text, ...values].join("\n").toLowerCase().includes(answer.says.toLowerCase())) {
    found.push(`does not say “${answer.says}”`);
  }
  return found;
}

async function inMode(browser, args, source, answer, mode) {
  const { page, noise } = await open(browser, args, { ...mode, scheme: "light" });
  const shot = (how) => path.join(args.out, `answer-${answer.name}-${mode.width}-${how}.png`);
  try {
    const status = await submit(page, args, answer);
    const found = await said(page, answer, status);
    if (mode.script === false) {
      found.push(...await sideways(page));
      await page.screenshot({ path: shot("noscript"), fullPage: true });
    } else {
      found.push(...await inBothSchemes(page, source, shot));
    }
    return [...found, ...noise];
  } finally {
    await page.close();
  }
}

/** Fills the form and sends it with Tab, letters and Enter alone. */
async function byKeys(browser, args, answer) {
  const { page } = await open(browser, args, { width: 1360, scheme: "light" });
  try {
    await page.goto(args.base + answer.at, { waitUntil: "load" });
    await formOf(page, answer).evaluate((f) => { f.noValidate = true; });
    const left = new Map(Object.entries(answer.type));
    for (let i = 0; i < 400 && left.size; i += 1) {
      await page.keyboard.press("Tab");
      const name = await page.evaluate(() => document.activeElement?.getAttribute("name") ?? "");
      if (!left.has(name)) continue;
      await page.keyboard.type(unique(left.get(name)));
      left.delete(name);
    }
    if (left.size) return [`the keyboard does not reach ${[...left.keys()].join(", ")}`];
    const answered = page.waitForResponse((r) => r.request().isNavigationRequest() && r.status() !== 303);
    const loaded = page.waitForEvent("load");
    await page.keyboard.press("Enter");
    const response = await answered;
    await loaded;
    return await said(page, answer, response.status());
  } finally {
    await page.close();
  }
}

/** Checks the answers to forms, and answers with the number of findings. */
export async function checkAnswers(args) {
  const wanted = ANSWERS.filter((answer) => answer.at.includes(args.only ?? ""));
  if (!wanted.length) return 0;
  const source = await axeSource();
  const profile = await mkdtemp(path.join(tmpdir(), "browser-"));
  const browser = await chromium.launch({
    executablePath: args.chromium,
    args: FLAGS,
    env: { ...process.env, HOME: profile },
  });
  let findings = 0;
  const note = (answer, how, found) => {
    for (const what of new Set(found)) console.log(`${answer.at} ${answer.name} [${how}] ${what}`);
    process.stderr.write(`${found.length ? "✗" : "✓"} ${answer.at} ${answer.name} ${how}\n`);
    findings += new Set(found).size;
  };
  const look = async (answer, how, check) =>
    note(answer, how, await patiently(`${answer.name} ${how}`, check));
  const one = async (answer) => {
    const widths = args.quick ? [320, 1360] : [320, 768, 1360];
    for (const width of widths) {
      await look(answer, `${width} px`, () => inMode(browser, args, source, answer, { width }));
    }
    const without = { width: 320, script: false };
    await look(answer, "320 px without script", () => inMode(browser, args, source, answer, without));
    await look(answer, "1360 px keyboard", () => byKeys(browser, args, answer));
  };
  try {
    await sideBySide(wanted, one);
  } finally {
    await browser.close();
    await rm(profile, { recursive: true, force: true });
  }
  console.log(`${wanted.length} answers, ${findings} findings`);
  return findings;
}
