// Makes TypeScript types from the JSON Schemas in ../schemas: npm run gen. Writes src/gen/*.ts, one file per schema.
// With --check it writes nothing and fails when a file is not what it would write.

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compile } from 'json-schema-to-typescript';

const from = fileURLToPath(new URL('../../schemas/', import.meta.url));
const to = fileURLToPath(new URL('../src/gen/', import.meta.url));

const schemas = async (folder) => {
  const entries = await readdir(folder, { withFileTypes: true });
  const nested = await Promise.all(
    entries.map((entry) =>
      entry.isDirectory() ? schemas(join(folder, entry.name)) : entry.name.endsWith('.json') ? [join(folder, entry.name)] : [],
    ),
  );
  return nested.flat();
};

const files = await schemas(from).catch(() => []);
if (!files.length) {
  console.error(`no JSON Schema in ${from}: write them first with make gen`);
  process.exit(1);
}
const check = process.argv.includes('--check');
const stale = [];
await mkdir(to, { recursive: true });
for (const file of files.sort()) {
  const name = basename(file, '.json').replace(/\.schema$/, '');
  const schema = JSON.parse(await readFile(file, 'utf8'));
  const text = await compile(schema, schema.title ?? name, {
    bannerComment: '/* Made by npm run gen: do not edit. */',
    additionalProperties: false,
    format: false,
  });
  const path = join(to, `${name.replaceAll(/[^\w.-]+/g, '-')}.ts`);
  if (!check) await writeFile(path, text);
  else if ((await readFile(path, 'utf8').catch(() => '')) !== text) stale.push(basename(path));
}
if (stale.length) {
  console.error(`not up to date: ${stale.join(', ')}; run npm run gen and commit the result`);
  process.exit(1);
}
console.log(`${files.length} files in src/gen`);
