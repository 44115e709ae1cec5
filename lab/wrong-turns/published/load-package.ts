import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Loads a package that need not be there; no type of it is known while this compiles. */
export async function loadPackage<Exports>(name: string): Promise<Exports> {
  const exports = (await import(name)) as Exports & { default?: Exports };
  return exports.default ?? exports;
}

/** The version that is installed; null: it is not. */
export function versionOf(name: string): string | null {
  try {
    const file = packageFile(createRequire(import.meta.url).resolve(name), name);
    return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
  } catch {
    return null;
  }
}

/** Not by asking for `name/package.json`: not every package lets that be seen. */
function packageFile(entry: string, name: string): string {
  for (let folder = dirname(entry); ; folder = dirname(folder)) {
    if (folder.endsWith(join('node_modules', name))) return join(folder, 'package.json');
    if (folder === dirname(folder)) throw new Error(`${name} is nowhere above ${entry}`);
  }
}
