// Signs in to a running console and checks its pages as check.mjs does.
//
//   node console.mjs --base http://127.0.0.1:3010 --link http://127.0.0.1:3010/welcome/TOKEN
//     --out DIR [--chromium /usr/bin/chromium] [--quick] [--only PART]
//
// The link is the one that the server prints at its first start; with it the owner's address and
// password are set through the form, as a person would. Without --link only the pages for people
// who are not signed in are checked. --only keeps the paths that contain PART. The answers to forms
// (answers.mjs) are checked likewise. Exit 0: nothing found; 1: findings; 2: the check could not be done.

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { checkAnswers } from "./answers.mjs";
import { checkAll, FLAGS } from "./check.mjs";

const OWNER = { email: "owner@example.com", password: "correct horse battery staple 2026" };

// Pages that are there as soon as the console is.
const FIXED = [
  "/console", "/console/billing", "/console/billing/tenants", "/console/billing/meters",
  "/console/billing/price-books", "/console/billing/invoices", "/console/billing/budgets",
  "/console/billing/anomalies", "/console/ledger",
  "/console/siem", "/console/siem/alerts", "/console/siem/incidents", "/console/siem/hunt",
  "/console/siem/rules", "/console/siem/sources", "/console/siem/suppressions",
  "/console/dlp", "/console/dlp/findings", "/console/dlp/scans", "/console/dlp/scans/coverage",
  "/console/dlp/holds", "/console/dlp/quarantine", "/console/dlp/treatments", "/console/dlp/retention",
  "/console/dlp/policies", "/console/dlp/detectors?class=financial",
  "/console/access/tenants", "/console/access/users", "/console/access/keys", "/console/access/matrix",
  "/console/access/passkeys",
  "/console/jobs", "/console/jobs/runs", "/console/jobs/runs?state=failed",
  "/console/notify/deliveries", "/console/notify/channels", "/console/notify/channels?kind=email",
  "/console/notify/rules", "/console/prometheus/sources",
];

// Pages for people who are not signed in; the link is one that was used before.
const OPEN = ["/login", "/welcome/used-before"];

// Pages about one thing: the first link of this form on that page.
const FOUND = [
  ["/console/billing", /^\/console\/billing\/tenants\/[^/?]+/],
  ["/console/billing/meters", /^\/console\/billing\/meters\/ai\.input_tokens/],
  ["/console/billing/price-books", /^\/console\/billing\/price-books\/[^/]+\/\d+/],
  ["/console/billing/invoices?state=draft", /^\/console\/billing\/invoices\/inv_/],
  ["/console/billing/invoices?state=finalised", /^\/console\/billing\/invoices\/inv_/],
  ["/console/billing/invoices?state=overdue", /^\/console\/billing\/invoices\/inv_/],
  ["/console/billing/budgets", /^\/console\/billing\/budgets\/[^/?]+/],
  ["/console/billing/anomalies", /^\/console\/billing\/anomalies\/ano_/],
  ["FINALISED", /\/usage\/\d+$|\/usage\/\d+\?/],
  ["USAGE", /\/usage\/\d+\/\d+/],
  ["/console/ledger", /^\/console\/ledger\/led_/],
  ["/console/siem/rules", /^\/console\/siem\/rules\/built-in/],
  ["/console/dlp/holds", /^\/console\/dlp\/holds\/[^/?]+/],
  ["/console/jobs", /^\/console\/jobs\/access\.housekeeping/],
  ["RUN", /^\/console\/jobs\/runs\/run_/],
];

function parse(argv) {
  const args = { base: "", link: "", out: "", chromium: "/usr/bin/chromium", quick: false, only: "" };
  for (let i = 0; i < argv.length; i += 1) {
    const value = () => {
      i += 1;
      if (argv[i] === undefined) throw new Error(`${argv[i - 1]} needs a value`);
      return argv[i];
    };
    switch (argv[i]) {
      case "--base": args.base = value().replace(/\/$/, ""); break;
      case "--link": args.link = value(); break;
      case "--out": args.out = value(); break;
      case "--chromium": args.chromium = value(); break;
      case "--only": args.only = value(); break;
      case "--quick": args.quick = true; break;
      default: throw new Error(`unknown argument ${argv[i]}`);
    }
  }
  if (!args.base || !args.out) throw new Error("--base and --out are needed");
  return args;
}

/** Fills the welcome form, or the sign-in form when the link was used before. */
async function signIn(page, args) {
  const welcome = await page.goto(args.link, { waitUntil: "load" });
  if (welcome?.ok()) {
    await page.screenshot({ path: path.join(args.out, "welcome.png"), fullPage: true });
    const email = page.locator('input[type="email"]');
    if (await email.count()) await email.first().fill(OWNER.email);
    for (const field of await page.locator('input[type="password"]').all()) await field.fill(OWNER.password);
    await page.locator("main button, form button").last().click();
    await page.waitForLoadState("load");
  }
  if (!new URL(page.url()).pathname.startsWith("/console")) {
    await page.goto(`${args.base}/login`, { waitUntil: "load" });
    await page.fill('input[type="email"]', OWNER.email);
    await page.fill('input[type="password"]', OWNER.password);
    await page.locator("form button").last().click();
    await page.waitForLoadState("load");
  }
  const where = new URL(page.url()).pathname;
  if (!where.startsWith("/console")) throw new Error(`signing in led to ${where}`);
}

/** Lets a short job run, so that there is a run to look at. */
async function runOne(page, args) {
  await page.goto(`${args.base}/console/jobs/access.housekeeping`, { waitUntil: "load" });
  await page.getByRole("button", { name: "Run now" }).click();
  await page.waitForURL(/\/console\/jobs\/runs\/run_/);
  for (let i = 0; i < 60; i += 1) {
    await page.reload({ waitUntil: "load" });
    if (await page.getByText("done", { exact: true }).count()) return;
    await page.waitForTimeout(500);
  }
  throw new Error("the job did not end within 30 s");
}

/** Follows the lists to one page of each kind. */
async function discover(page, args) {
  const found = [];
  const named = {};
  for (const [from, wanted] of FOUND) {
    const start = named[from] ?? from;
    if (!start.startsWith("/")) {
      console.log(`${from} [discovery] no page leads here`);
      continue;
    }
    const answer = await page.goto(args.base + start, { waitUntil: "load" });
    if (!answer?.ok()) {
      console.log(`${start} [discovery] answered ${answer?.status()}`);
      continue;
    }
    const links = await page.locator("main a[href]").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
    const link = links.find((href) => wanted.test(href));
    if (!link) {
      console.log(`${start} [discovery] has no link of the form ${wanted}`);
      continue;
    }
    found.push(link);
    if (start.includes("state=finalised")) named.FINALISED = link;
    if (from === "FINALISED") named.USAGE = link;
    if (from === "/console/jobs") named.RUN = link;
  }
  return { found, missing: FOUND.length - found.length };
}

async function main() {
  const args = parse(process.argv.slice(2));
  await mkdir(args.out, { recursive: true });
  if (!args.link) return checkAll({ ...args, paths: ["/login"], cookies: [] });
  const profile = await mkdtemp(path.join(tmpdir(), "browser-"));
  const browser = await chromium.launch({
    executablePath: args.chromium,
    args: FLAGS,
    env: { ...process.env, HOME: profile },
  });
  let paths;
  let cookies;
  let missing;
  try {
    const context = await browser.newContext({ viewport: { width: 1360, height: 900 } });
    const page = await context.newPage();
    await signIn(page, args);
    await runOne(page, args);
    const pages = await discover(page, args);
    missing = pages.missing;
    paths = [...FIXED, ...pages.found];
    cookies = (await context.cookies()).map((c) => `${c.name}=${c.value}`);
  } finally {
    await browser.close();
    await rm(profile, { recursive: true, force: true });
  }
  const wanted = (all) => [...new Set(all.filter((where) => where.includes(args.only)))];
  let findings = missing;
  const open = wanted(OPEN);
  if (open.length) findings += await checkAll({ ...args, out: path.join(args.out, "open"), paths: open, cookies: [] });
  const inside = wanted(paths);
  if (inside.length) findings += await checkAll({ ...args, paths: inside, cookies });
  return findings + await checkAnswers({ ...args, cookies });
}

main().then(
  (findings) => { process.exitCode = findings ? 1 : 0; },
  (error) => { console.error(error.message); process.exitCode = 2; },
);
