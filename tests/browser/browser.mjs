// Starts the installed Chromium and opens the editor.
import fs from 'node:fs';
import { chromium } from 'playwright-core';

/** The browser of the system: Debian's, or where CHROMIUM says. */
function executable() {
  const names = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
  const found = names.find((name) => name && fs.existsSync(name));
  if (!found) throw new Error('no chromium found: install it, or name it in CHROMIUM');
  return found;
}

export async function launch() {
  const args = ['--disable-gpu', '--no-first-run', '--disable-background-networking', '--disable-component-update'];
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  return chromium.launch({ executablePath: executable(), headless: true, args });
}

/** Opens a page, waits until the canvas is painted, and collects what the page complains about. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') page.complaints.push(message.text());
  });
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector('[data-testid=canvas-ready]', { state: 'attached', timeout: 60_000 });
  return page;
}
