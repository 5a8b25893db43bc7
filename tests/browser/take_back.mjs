// Finds the failed message of a node, restores an earlier deploy after a look at what changes, and sends the message again.
// usage: node take_back.mjs URL NODE_NAME DEPLOY_NUMBER
import { launch, open } from './browser.mjs';

const [url, name, number] = process.argv.slice(2);
const browser = await launch();
const fail = (text) => {
  throw new Error(text);
};
try {
  const page = await open(browser, url);

  await page.getByTestId('failed-tab').click();
  const group = page.getByTestId('letter-group').filter({ hasText: name });
  const letter = group.getByTestId('letter').first();
  await letter.waitFor({ timeout: 30_000 });
  // The name leads to the node.
  await group.getByRole('button', { name, exact: true }).click();
  await page.locator('[data-node-id].selected').waitFor();

  await page.getByTestId('history-tab').click();
  await page.getByRole('button', { name: `Restore deploy no. ${number}` }).click();
  const dialog = page.getByTestId('restore-dialog');
  await dialog.getByRole('button', { name }).waitFor({ timeout: 30_000 });
  if (!(await dialog.innerText()).includes('Changed')) fail('the dialog does not say what restoring changes');
  const restored = page.waitForResponse((answer) => answer.request().method() === 'POST' && answer.url().endsWith('/restore'));
  await page.getByTestId('restore-confirm').click();
  if ((await restored).status() !== 200) fail(`restoring was answered with ${(await restored).status()}`);
  await dialog.waitFor({ state: 'detached' });
  await page.getByTestId('deploy-row').filter({ hasText: `brought back no. ${number}` }).waitFor();

  await page.getByTestId('failed-tab').click();
  await letter.getByTestId('retry').click();
  await letter.getByText('sent again').waitFor({ timeout: 30_000 });
  if (page.complaints.length) fail(`the page complained: ${page.complaints.join('\n')}`);
  console.log('restored and sent again');
} finally {
  await browser.close();
}
