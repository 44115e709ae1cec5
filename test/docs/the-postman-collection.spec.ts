import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createDataSource } from '../../src/data-source.js';
import { seedDemo } from '../../start/seed.js';
import { quick } from '../promises/bank-scene.js';
import { bootApi, type Api } from '../support/api.js';
import { startBank, type BankProcess } from '../support/bank-process.js';
import { createDatabase, type Database } from '../support/database.js';
import { checkMoney, checkOnePaymentPerKey } from '../support/invariants.js';

interface Report {
  run: {
    stats: { assertions: { total: number; failed: number } };
    executions: {
      assertions?: { assertion: string; error?: { message: string } }[];
      item: { name: string };
    }[];
  };
}

describe('the Postman collection', () => {
  let database: Database;
  let bank: BankProcess;
  let api: Api;
  const folder = mkdtempSync(join(tmpdir(), 'pay-sam-postman-'));

  beforeAll(async () => {
    [database, bank] = await Promise.all([createDatabase(), startBank()]);
    const dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
    await dataSource.transaction(seedDemo);
    await dataSource.destroy();
    api = await bootApi(database.url, { ...bank.env, ...quick });
  });
  afterAll(async () => {
    await api.stop();
    await bank.stop();
    await database.drop();
    rmSync(folder, { recursive: true });
  });

  /** Runs the scenarios as `npx newman` does. @returns what failed, and how much was looked at */
  async function runScenarios(env: Record<string, string> = {}) {
    const path = join(folder, 'report.json');
    const values = Object.entries({ baseUrl: api.url, ...env }).flatMap(([name, value]) => [
      '--env-var',
      `${name}=${value}`,
    ]);
    const newman = ['node_modules/newman/bin/newman.js', 'run', 'postman/pay-sam.postman_collection.json'];
    const wishes = [
      '--environment',
      'postman/pay-sam.postman_environment.json',
      '--folder',
      'Scenarios',
      ...values,
    ];
    const report = ['--reporters', 'json', '--reporter-json-export', path];
    // What fails is in the report.
    await promisify(execFile)(process.execPath, [...newman, ...wishes, ...report]).catch(() => undefined);
    const { run } = JSON.parse(readFileSync(path, 'utf8')) as Report;
    const failed = run.executions.flatMap(({ item, assertions = [] }) =>
      assertions
        .filter(({ error }) => error)
        .map(({ assertion, error }) => `${item.name}: ${assertion}: ${error?.message ?? ''}`),
    );
    return { failed, total: run.stats.assertions.total };
  }

  it('keeps its promises, each time it is run', async () => {
    for (const run of ['first', 'again']) {
      const { failed, total } = await runScenarios();
      expect([run, failed]).toEqual([run, []]);
      expect(total).toBeGreaterThan(40);
    }
    expect(await checkMoney(database.sql)).toEqual([]);
    expect(await checkOnePaymentPerKey(database.sql)).toEqual([]);
  }, 60_000);

  it('notices where a promise is not kept', async () => {
    const { failed } = await runScenarios({ bobApiKey: 'sk_demo_alice' });
    expect(failed.join('\n')).toContain('Bob pays Sam £100: it is declined');
  });

  it('is made from the document: "npm run docs:postman" would change nothing', async () => {
    await promisify(execFile)(process.execPath, ['postman/generate.mjs', '--check']);
  });
});
