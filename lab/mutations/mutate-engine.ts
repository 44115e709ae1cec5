import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import startPostgres from '../../test/support/start-postgres.js';
import stopPostgres from '../../test/support/stop-postgres.js';
import { parts, type Part } from './engine-parts.js';
import { goal, record, scoresOf, type Report, type Score } from './engine-scores.js';

/**
 * Runs Stryker over the engine, part by part, with one PostgreSQL for all mutants: a thousand starts of it would take
 * longer than a thousand mutants. `npm run mutate -- ledger` does one folder alone, `npm run mutate -- ledger books` one
 * file of it. What came of each file is written to engine-scores.json; the survivors are in reports/.
 */
const config = 'lab/mutations/engine.stryker.config.json';
const reportFile = 'reports/engine-mutants.json';

/** Schedules of the model for each mutant: half a second of them. What survives those meets PostgreSQL. */
const schedules = '300';

const [folder, file] = process.argv.slice(2);
const wanted = parts
  .filter(part => folder === undefined || part.folder === folder)
  .filter(({ files }) => file === undefined || files.includes('*') || files.includes(file));
if (wanted.length === 0) throw new Error(`there is no ${[folder, file].join(' ')} among the parts`);

await startPostgres(undefined, { rootDir: process.cwd() });
try {
  for (const part of wanted) await mutate(part);
} finally {
  await stopPostgres();
}
process.exit();

async function mutate(part: Part): Promise<void> {
  rmSync(reportFile, { force: true });
  const files = file === undefined ? part.files : [file];
  const mutants = [...files.map(each => `src/${part.folder}/${each}.ts`), '!src/**/*.spec.ts'].join(',');
  const stryker = spawn(
    process.execPath,
    [
      'node_modules/@stryker-mutator/core/bin/stryker.js',
      'run',
      config,
      '--mutate',
      mutants,
      ...(part.withStatic ? [] : ['--ignoreStatic']),
    ],
    {
      stdio: 'inherit',
      env: { ...process.env, MUTANTS_MEET: part.specs.join(','), MODEL_SCHEDULES: schedules },
    },
  );
  const [code] = (await once(stryker, 'exit')) as [number | null];
  if (code !== 0 || !existsSync(reportFile)) {
    process.exitCode = code ?? 1;
    return;
  }
  const report = JSON.parse(readFileSync(reportFile, 'utf8')) as Report;
  const known = record(part.folder, scoresOf(report));
  tell(part.folder, known);
}

function tell(name: string, { killed, mutants, notReached, score, survived, timedOut }: Score): void {
  console.log(
    `${name}: of ${mutants} mutants ${killed} killed, ${timedOut} timed out, ${survived} survived, ${notReached} not reached: ${score} %`,
  );
  if (score < goal) process.exitCode = 1;
}
