import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { createDataSource } from '../src/data-source.js';
import { patienceWith } from '../start/bank.js';
import { seedDemo } from '../start/seed.js';
import { bootApi, type Api } from './support/api.js';
import { startBank, type BankProcess } from './support/bank-process.js';
import { createDatabase, type Database } from './support/database.js';

const readme = readFileSync('README.md', 'utf8');
const operations = readFileSync('docs/operations.md', 'utf8');

interface Example {
  command: string;
  kind: string;
  answer: string;
}

/** Each command of a section with the answer printed below it. */
function examplesIn(heading: string): Example[] {
  const section = readme.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/```sh\n(.*curl .*)\n```\n\n```(http|json)\n([^`]*)```/g)].map(
    ([, command = '', kind = '', answer = '']) => ({ command, kind, answer }),
  );
}

/** What differs from one run to the next, and from a UUID to another. */
function masked(text: string): string {
  return text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>')
    .replace(/trf_[0-9a-f]{32}/g, '<transfer>')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .trim();
}

/** Without the stored answer, which the README shortens; and the seconds left of a lease are whatever they are. */
function operation(text: string): object {
  const shown = JSON.parse(masked(text)) as { retry_after: unknown };
  return { ...shown, retry_after: typeof shown.retry_after, response: null };
}

describe('what the docs tell to type', () => {
  let database: Database;
  let bank: BankProcess;
  let api: Api;
  /** What the reader puts in the place of PAYMENT_ID. */
  let paymentToSam = '';

  beforeAll(async () => {
    [database, bank] = await Promise.all([createDatabase(), startBank()]);
    const dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
    await dataSource.transaction(seedDemo);
    await dataSource.destroy();
    // As npm start runs it.
    api = await bootApi(database.url, { ...bank.env, ...patienceWith({}) });
  });
  afterAll(async () => {
    await api.stop();
    await bank.stop();
    await database.drop();
  });

  async function run(command: string): Promise<string> {
    const ready = command
      .replace('localhost:3000', api.url)
      .replace('PAYMENT_ID', paymentToSam)
      .replace('curl -i', 'curl -s -i');
    return (await promisify(execFile)('sh', ['-c', ready])).stdout;
  }

  async function answersAsItSays({ command, kind, answer }: Example): Promise<void> {
    let stdout = await run(command);
    // Whoever cancels is told to try again while somebody just tries to pay.
    for (let tries = 0; command.includes('/cancel') && stdout.includes('409') && tries < 20; tries += 1) {
      await sleep(100);
      stdout = await run(command);
    }
    if (kind === 'json') {
      expect(operation(stdout)).toEqual(operation(answer));
      return;
    }
    const [head = '', body = ''] = answer.split('\n\n');
    const [actualHead = '', actualBody = ''] = stdout.replaceAll('\r', '').split('\n\n');
    for (const line of head.split('\n')) expect(actualHead.split('\n')).toContain(line);
    expect(masked(actualBody)).toBe(masked(body));
    if (command.includes('Key: 457')) paymentToSam = (JSON.parse(actualBody) as { id: string }).id;
  }

  const ledger = examplesIn('Pay Sam once');
  const throughBank = examplesIn('Pay Sam through another bank');
  const bankDown = examplesIn('When the bank is down');

  it('shows calls in an order in which they can be run', () => {
    const kinds = [ledger, throughBank, bankDown].map(examples => examples.map(({ kind }) => kind));
    expect(kinds).toEqual([
      ['http', 'http', 'http', 'http', 'json'],
      ['http', 'http', 'http', 'json', 'http'],
      ['http', 'http'],
    ]);
  });

  it.each(ledger)('answers as it says: $command', answersAsItSays);

  it.each(throughBank)('answers as it says, with the bank: $command', answersAsItSays);

  it('ends the payment to Tim, though nobody waits for it', async () => {
    const look = throughBank.find(({ command }) => command.includes('/operations/459'))?.command ?? '';
    await comesTo(look, 'completed');
  });

  const waysToEnd = /\| `(\w{3})` \|.*\| (\d{3})/g;
  it.each([...readme.matchAll(waysToEnd)].map(([, payee = '', status = '']) => ({ payee, status })))(
    'tells how a payment to $payee ends: $status',
    async ({ payee, status }) => {
      const [first = { command: '' }] = throughBank;
      const command = first.command.replace('"sam"', `"${payee}"`).replace('Key: 457', `Key: to-${payee}`);
      expect((await run(command)).split(' ')[1]).toBe(status);
    },
  );

  it.each(bankDown)('answers as it says, without the bank: $command', async example => {
    await bank.kill();
    await answersAsItSays(example);
  });

  it('pays as soon as the bank is there, within three seconds', async () => {
    const [pay = { command: '' }] = bankDown;
    expect((await run(pay.command.replace('Key: 462', 'Key: 463'))).split(' ')[1]).toBe('202');
    await bank.restart();
    await comesTo(
      'curl -s localhost:3000/operations/463 -H "Authorization: Bearer sk_demo_alice"',
      'completed',
    );
  });

  describe('docs/operations.md', () => {
    const statements = [...operations.matchAll(/psql "\$DATABASE_URL" -c "([^"]*)"/g)].map(
      ([, sql = '']) => sql,
    );
    let client: Client;

    beforeAll(async () => {
      client = new Client({ connectionString: database.url });
      await client.connect();
    });
    afterAll(() => client.end());

    it('looks at metrics that are there', async () => {
      const [, look = ''] = /```sh\n(curl .*\/metrics.*)\n/.exec(operations) ?? [];
      const shown = await run(look);
      // Two of them are left out until this process has had something to tell.
      const named = [...operations.matchAll(/^\| `(paysam_\w+)/gm)].map(([, name = '']) => name);
      expect(named).toHaveLength(5);
      const promised = (await fetch(`${api.url}/metrics`).then(answer => answer.text())).match(
        /^# HELP \w+/gm,
      );
      for (const name of named) expect(promised).toContain(`# HELP ${name}`);
      expect(shown).toMatch(/^paysam_parked_keys 0$/m);
    });

    it.each(statements)('has statements that this schema understands: %s', async sql => {
      await client.query('BEGIN');
      await client.query(sql);
      await client.query('ROLLBACK');
    });

    it('un-parks a key so that its payment ends', async () => {
      const [pay = { command: '' }] = throughBank;
      await bank.kill();
      await run(pay.command.replace('Key: 457', 'Key: 461'));
      const { rows } = await client.query<{ id: string }>(
        `UPDATE idempotency_keys SET parked_because = 'for a test', locked_until = NULL WHERE key = '461'
         RETURNING state ->> 'payment_id' AS id`,
      );
      await bank.restart();
      const look = 'curl -s localhost:3000/operations/461 -H "Authorization: Bearer sk_demo_alice"';
      expect(JSON.parse(await run(look))).toMatchObject({ state: 'parked' });

      const [, command = ''] = /^npm run recover -- (--unpark) /m.exec(operations) ?? [];
      const env = { ...process.env, DATABASE_URL: database.url };
      const args = ['dist/src/worker.js', command, rows[0]?.id ?? ''];
      expect(execFileSync(process.execPath, args, { env, encoding: 'utf8' })).toContain('completer’s again');
      await comesTo(look, 'completed');
    });
  });

  async function comesTo(look: string, state: string): Promise<void> {
    const isThere = async () => (JSON.parse(await run(look)) as { state: string }).state === state;
    for (const until = Date.now() + 5_000; !(await isThere()) && Date.now() < until;) await sleep(100);
    expect(JSON.parse(await run(look))).toMatchObject({ state });
  }
});
