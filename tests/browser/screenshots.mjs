// Screenshots of the editor with the demo running: 1440×900 and 390×844, light and dark.
// usage: node screenshots.mjs [FOLDER]      TIDEWIRE_BIN names another binary than target/debug/tidewire
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch, open } from './browser.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.join(here, '..', '..');
const folder = path.resolve(process.argv[2] ?? path.join(here, 'out'));
const binary = process.env.TIDEWIRE_BIN ?? path.join(root, 'target', 'debug', 'tidewire');
const SIZES = [['desktop', { width: 1440, height: 900 }], ['phone', { width: 390, height: 844 }]];

fs.mkdirSync(folder, { recursive: true });
const data = fs.mkdtempSync(path.join(os.tmpdir(), 'tidewire-shots-'));
const server = spawn(binary, ['--data-dir', data, '--http', '127.0.0.1:0', '--mqtt', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
const password = 'screenshots only';

/** What follows `Open: `. */
function link() {
  return new Promise((resolve, reject) => {
    let text = '';
    server.stdout.on('data', (part) => {
      text += part;
      const found = /^Open: (\S+)/m.exec(text);
      if (found) resolve(found[1]);
    });
    server.on('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
}

let browser;
try {
  const url = await link();
  browser = await launch();
  const setup = await browser.newPage({ viewport: SIZES[0][1] });
  await setup.goto(url);
  const form = setup.locator('[data-testid=setup-form]');
  await form.waitFor();
  await setup.screenshot({ path: path.join(folder, 'setup.png') });
  await form.locator('input:not([type=password])').first().fill('anna');
  for (const field of await form.locator('input[type=password]').all()) await field.fill(password);
  await form.locator('[type=submit]').click();
  await setup.waitForSelector('[data-testid=canvas-ready]', { state: 'attached' });
  const state = await setup.context().storageState();
  const address = new URL(url).origin;
  for (const [size, viewport] of SIZES) {
    for (const scheme of ['light', 'dark']) {
      const page = await open(browser, address, { viewport, colorScheme: scheme, storageState: state });
      await page.waitForSelector('[data-testid=node]');
      // Until values have travelled, the valve has been asked to open and the charts have a shape.
      await page.waitForTimeout(size === 'desktop' && scheme === 'light' ? 25_000 : 3_000);
      await page.screenshot({ path: path.join(folder, `${size}-${scheme}.png`) });
      if (page.complaints.length) throw new Error(`${size} ${scheme}: ${page.complaints.join('\n')}`);
      await page.context().close();
    }
  }
  console.log(`screenshots are in ${folder}`);
} finally {
  await browser?.close();
  server.removeAllListeners('exit');
  server.kill('SIGTERM');
  fs.rmSync(data, { recursive: true, force: true, maxRetries: 5 });
}
