import { spawn } from 'node:child_process';
import { once } from 'node:events';
import startPostgres from '../../test/support/start-postgres.js';
import stopPostgres from '../../test/support/stop-postgres.js';

/**
 * Runs Stryker over the engine, folder by folder, with one PostgreSQL for all mutants: a thousand starts of it would take
 * longer than a thousand mutants. `npm run mutate -- ledger` does one folder alone.
 */
const config = 'lab/mutations/engine.stryker.config.json';
const folders = ['ledger', 'idempotency', 'recovery'];

/** Schedules of the model for each mutant: a second of them. What survives those meets PostgreSQL. */
const schedules = '300';

const wanted = process.argv.slice(2);
const unknown = wanted.find(each => !folders.includes(each));
if (unknown !== undefined) throw new Error(`${unknown} is none of ${folders.join(', ')}`);

await startPostgres(undefined, { rootDir: process.cwd() });
try {
  for (const folder of folders.filter(each => wanted.length === 0 || wanted.includes(each))) {
    await mutate(folder);
  }
} finally {
  await stopPostgres();
}
process.exit();

async function mutate(folder: string): Promise<void> {
  const mutants = [`src/${folder}/*.ts`, '!src/**/*.spec.ts', '!src/**/*.entity.ts'].join(',');
  const stryker = spawn(
    process.execPath,
    ['node_modules/@stryker-mutator/core/bin/stryker.js', 'run', config, '--mutate', mutants],
    {
      stdio: 'inherit',
      env: { ...process.env, MUTATED_FOLDER: folder, MODEL_SCHEDULES: schedules },
    },
  );
  const [code] = (await once(stryker, 'exit')) as [number | null];
  if (code !== 0) process.exitCode = code ?? 1;
}
