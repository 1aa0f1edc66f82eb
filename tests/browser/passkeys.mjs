// Adds a passkey and signs in with it, as a person does, with the browser's own authenticator in software; then checks
// the pages of passkeys, and that of permissions where a policy forbids something, as check.mjs does.
//
//   node passkeys.mjs --link http://localhost:PORT/welcome/TOKEN --out DIR [--chromium /usr/bin/chromium]
//
// The server is crates/platform/access/examples/access_console.rs: browsers allow passkeys on localhost without TLS.
// Exit 0: nothing found; 1: findings; 2: the check could not be done.

import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { chromium } from "playwright-core";
import { checkAll, FLAGS } from "./check.mjs";

const OWNER = { email: "owner@example.com", password: "correct horse battery staple 2026" };
const LIST = "/console/access/passkeys";

function parse(argv) {
  const args = { link: "", out: "", chromium: "/usr/bin/chromium", quick: true };
  for (let i = 0; i < argv.length; i += 2) {
    const name = argv[i].replace(/^--/, "");
    if (!(name in args) || argv[i + 1] === undefined) throw new Error(`unknown or empty argument ${argv[i]}`);
    args[name] = argv[i + 1];
  }
  if (!args.link || !args.out) throw new Error("--link and --out are needed");
  return { ...args, base: new URL(args.link).origin };
}

/** The browser's authenticator: a device whose lock opens, or does not. */
async function device(page, verified) {
  const client = await page.context().newCDPSession(page);
  await client.send("WebAuthn.enable");
  const { authenticatorId } = await client.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      isUserVerified: verified, automaticPresenceSimulation: true,
    },
  });
  return {
    open: (yes) => client.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: yes }),
    credentials: async () => (await client.send("WebAuthn.getCredentials", { authenticatorId })).credentials,
  };
}

const where = (page) => new URL(page.url()).pathname;
const told = (page) => page.locator("[data-passkey-error]");

async function enter(page, args) {
  await page.goto(args.link, { waitUntil: "load" });
  await page.fill('input[type="email"]', OWNER.email);
  for (const field of await page.locator('input[type="password"]').all()) await field.fill(OWNER.password);
  await page.locator("main button").click();
  await page.waitForURL(/\/console/);
}

async function add(page, args, name) {
  await page.goto(args.base + LIST, { waitUntil: "load" });
  await page.fill('[data-passkey] input[name="name"]', name);
  await page.getByRole("button", { name: "Add a passkey" }).click();
}

async function signOut(page, args) {
  await page.goto(args.base + LIST, { waitUntil: "load" });
  await page.locator('form[action="/console/logout"]').evaluate((form) => form.submit());
  await page.waitForURL(/\/login/);
}

/** The whole way; gives the cookies of a session and the page of one passkey. */
async function journey(browser, args) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 900 } });
  const page = await context.newPage();
  await enter(page, args);
  const key = await device(page, true);
  await add(page, args, "laptop");
  await page.getByRole("link", { name: "laptop" }).waitFor();
  assert.equal((await key.credentials()).length, 1);
  assert.equal((await key.credentials())[0].isResidentCredential, true);

  // The device knows it already.
  await add(page, args, "again");
  await told(page).getByText("has a passkey of this account already").waitFor();

  await signOut(page, args);
  await page.goto(`${args.base}/login?next=${encodeURIComponent(LIST)}`, { waitUntil: "load" });
  await page.screenshot({ path: path.join(args.out, "login.png"), fullPage: true });
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.waitForURL(new RegExp(`${LIST}$`));
  await page.screenshot({ path: path.join(args.out, "passkeys.png"), fullPage: true });

  // A lock that does not open signs nobody in, and the password is still there.
  await signOut(page, args);
  await key.open(false);
  await page.goto(`${args.base}/login`, { waitUntil: "load" });
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await told(page).getByText("No passkey was chosen").waitFor();
  assert.equal(where(page), "/login");
  await page.fill('input[type="email"]', OWNER.email);
  await page.fill('input[type="password"]', OWNER.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.waitForURL(/\/console/);

  await page.goto(args.base + LIST, { waitUntil: "load" });
  const one = await page.getByRole("link", { name: "laptop" }).getAttribute("href");
  await page.goto(args.base + one, { waitUntil: "load" });
  await page.fill('input[name="name"]', "desk");
  await page.getByRole("button", { name: "Rename" }).click();
  await page.getByRole("link", { name: "desk" }).waitFor();
  const cookies = (await context.cookies()).map((c) => `${c.name}=${c.value}`);
  return { page, key, one, cookies };
}

/** Removed on the server, the passkey that is still on the device is refused. */
async function gone({ page, key, one }, args) {
  await page.goto(args.base + one, { waitUntil: "load" });
  await page.getByRole("button", { name: "Remove" }).click();
  await page.getByText("No passkey yet.").waitFor();
  await signOut(page, args);
  await key.open(true);
  await page.goto(`${args.base}/login`, { waitUntil: "load" });
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.getByText("it is not known here").waitFor();
}

/** Without script there is the password, and no button that does nothing. */
async function withoutScript(browser, args) {
  const context = await browser.newContext({ javaScriptEnabled: false });
  const page = await context.newPage();
  await page.goto(`${args.base}/login`, { waitUntil: "load" });
  assert.equal(await page.getByRole("button", { name: "Sign in with a passkey" }).count(), 0);
  await page.fill('input[type="email"]', OWNER.email);
  await page.fill('input[type="password"]', OWNER.password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.goto(args.base + LIST, { waitUntil: "load" });
  assert.equal(await page.getByRole("button", { name: "Add a passkey" }).count(), 0);
  assert.ok(await page.getByText("open this page with script").isVisible());
}

async function main() {
  const args = parse(process.argv.slice(2));
  await mkdir(args.out, { recursive: true });
  const profile = await mkdtemp(path.join(tmpdir(), "browser-"));
  const browser = await chromium.launch({
    executablePath: args.chromium,
    args: FLAGS,
    env: { ...process.env, HOME: profile },
  });
  try {
    const done = await journey(browser, args);
    const inside = await checkAll({ ...args, paths: [LIST, done.one, "/console/access/matrix"], cookies: done.cookies });
    const open = await checkAll({ ...args, out: path.join(args.out, "open"), paths: ["/login"], cookies: [] });
    await withoutScript(browser, args);
    await gone(done, args);
    return inside + open;
  } finally {
    await browser.close();
    await rm(profile, { recursive: true, force: true });
  }
}

main().then(
  (findings) => { process.exitCode = findings ? 1 : 0; },
  (error) => { console.error(error.message); process.exitCode = error.name === "AssertionError" ? 1 : 2; },
);
