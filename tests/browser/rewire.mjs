// Moves the wire that ends at one node to another, with the mouse, and deploys.
// usage: node rewire.mjs URL FROM OLD NEW
import { launch, open } from './browser.mjs';

const [url, , old, next] = process.argv.slice(2);
const browser = await launch();
try {
  const page = await open(browser, url);
  const port = async (node) => {
    const element = page.locator(`[data-testid=port-in][data-node="${node}"]`);
    await element.waitFor({ state: 'visible', timeout: 30_000 });
    const box = await element.boundingBox();
    return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  };
  const [from, to] = [await port(old), await port(next)];
  await page.keyboard.down('Shift');
  await page.mouse.move(from.x, from.y);
  await page.mouse.down();
  await page.mouse.move((from.x + to.x) / 2, (from.y + to.y) / 2, { steps: 8 });
  await page.mouse.move(to.x, to.y, { steps: 8 });
  await page.mouse.up();
  await page.keyboard.up('Shift');

  const deployed = page.waitForResponse((answer) => answer.request().method() === 'POST' && new URL(answer.url()).pathname === '/flows');
  await page.locator('[data-testid=deploy]:enabled').click({ timeout: 30_000 });
  const answer = await deployed;
  if (answer.status() !== 200) throw new Error(`the deploy was answered with ${answer.status()}: ${await answer.text()}`);
  if (page.complaints.length) throw new Error(`the page complained: ${page.complaints.join('\n')}`);
  console.log('moved and deployed');
} finally {
  await browser.close();
}
