import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format, resolveConfig } from 'prettier';
import type { Proof } from '../proof.js';
import type { CatalogueRow, Mutations } from './evidence.js';
import { toPage } from './page.js';

const mutationsFile = 'lab/mutations/result.json';

/** Writes the page about one run, as the check of this repository wants every page. */
export async function writeEvidence(proof: Proof, path: string): Promise<void> {
  const mutations = existsSync(mutationsFile)
    ? (JSON.parse(readFileSync(mutationsFile, 'utf8')) as Mutations)
    : null;
  const page = toPage({ proof, mutations, catalogue: await readCatalogue() });
  const style = await resolveConfig(path);
  writeFileSync(path, await format(page, { ...style, parser: 'markdown' }));
}

/** Each file of the catalogue exports its rows under a name of its own. */
async function readCatalogue(): Promise<CatalogueRow[]> {
  const folder = join(import.meta.dirname, '../catalogue');
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter(name => /(?<!\.d)\.(js|ts)$/.test(name));
  const modules = await Promise.all(
    files.map(
      async name => (await import(pathToFileURL(join(folder, name)).href)) as Record<string, unknown>,
    ),
  );
  const rows = modules
    .flatMap(module => Object.values(module))
    .flatMap(value => (isRows(value) ? value : []));
  // A list of all rows may be exported beside its parts.
  return [...new Map(rows.map(row => [row.id, row])).values()];
}

function isRows(value: unknown): value is CatalogueRow[] {
  return (
    Array.isArray(value) &&
    value.every((row: unknown) => typeof row === 'object' && row !== null && 'id' in row && 'provedBy' in row)
  );
}
