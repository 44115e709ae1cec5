import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { catalogue } from '../catalogue/catalogue.js';
import { readScores } from '../../mutations/engine-scores.js';
import type { Proof } from '../proof.js';
import type { Mutations } from './evidence.js';
import { toPage } from './page.js';

const mutationsFile = 'lab/mutations/result.json';

/** Writes the page about one run, as the check of this repository wants every page. */
export async function writeEvidence(proof: Proof, path: string): Promise<void> {
  const mutations = existsSync(mutationsFile)
    ? (JSON.parse(readFileSync(mutationsFile, 'utf8')) as Mutations)
    : null;
  const page = toPage({ proof, mutations, catalogue, engineScores: readScores() });
  const style = await resolveConfig(path);
  writeFileSync(path, await format(page, { ...style, parser: 'markdown' }));
}
