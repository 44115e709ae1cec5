import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { parseArgs } from 'node:util';
import { filesOfBooks } from './bank.js';
import { EmbeddedPostgres } from './embedded-postgres.js';
import { findBinaries } from './postgres-binaries.js';
import { deleteHome, findHome, isHome } from './postgres-home.js';
import { explain, Refusal } from './refusal.js';
import { complain, say } from './screen.js';
import { readSettings } from './settings.js';

/** `npm run reset`: deletes the built-in database with all that was paid in it, and the pretend bank's books. */
try {
  await reset();
} catch (error) {
  complain(explain(error));
  process.exitCode = 1;
}

async function reset(): Promise<void> {
  const { databaseUrl, dataDir } = readSettings(process.env);
  if (databaseUrl) {
    throw new Refusal(
      'DATABASE_URL is set, and only the built-in database is ever deleted.',
      'Unset it first.',
    );
  }
  const home = findHome(dataDir);
  if (!isHome(home.folder)) {
    say(`There is nothing to delete: no database of ours is in ${home.folder}.`);
    return;
  }
  const postgres = new EmbeddedPostgres(home, findBinaries(home));
  const isLeftRunning = await postgres.takeOver(new AbortController().signal);
  try {
    if (!(await isConfirmed(home.folder))) {
      say('Nothing was deleted.');
      return;
    }
  } finally {
    if (isLeftRunning) await postgres.stop();
  }
  deleteHome(home);
  // The bank's books go with ours: charges of payments that nobody remembers are what a reconciler reports.
  const files = ['api.log', 'api.pid', 'bank.log', 'bank.pid'].map(name => join(dataDir, name));
  for (const file of [...files, ...filesOfBooks(dataDir)]) rmSync(file, { force: true });
  if (existsSync(dataDir) && readdirSync(dataDir).length === 0) rmdirSync(dataDir);
  say(`Deleted ${home.folder}. The next npm start begins anew.`);
}

/** npm takes a --force given to itself, as in `npm run reset --force`, and passes it on as a variable. */
async function isConfirmed(folder: string): Promise<boolean> {
  const { values } = parseArgs({ options: { force: { type: 'boolean', default: false } } });
  if (values.force || process.env.npm_config_force === 'true') return true;
  if (!process.stdin.isTTY) {
    throw new Refusal(
      'Nobody is there to ask, so nothing was deleted.',
      'To delete: npm run reset -- --force',
    );
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(
    `Delete all payments and accounts in ${folder}? Type yes to go on: `,
  );
  terminal.close();
  return answer.trim().toLowerCase() === 'yes';
}
