import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startAnswerCutter } from '../../test/support/answer-cutter.js';
import type { ApiProcess } from '../../test/support/api-process.js';
import type { Customer } from '../../test/support/database.js';
import { setUpScene } from '../../test/support/scene.js';
import { freePort } from '../../start/ports.js';
import { User, type Ran } from './support/paysam-process.js';

/** The command as people run it: a process of its own, against the API as it is shipped. */
describe('paysam', () => {
  const scene = setUpScene();
  let api: ApiProcess;
  let cutter: Awaited<ReturnType<typeof startAnswerCutter>>;
  let bob: Customer;
  const users: User[] = [];

  const user = (customer = scene.alice, url = api.url) => {
    const one = new User({ PAYSAM_URL: url, PAYSAM_API_KEY: customer.apiKey });
    users.push(one);
    return one;
  };
  const paymentsUnder = (key: string) =>
    scene.sql<{ id: string; status: string; amount: number }>(
      'SELECT id, status, amount FROM payments WHERE idempotency_key = $1',
      [key],
    );

  beforeAll(async () => {
    bob = await scene.database.addCustomer({ name: 'bob', balance: 5_000 });
    api = await scene.start();
    cutter = await startAnswerCutter(api.port);
  });
  afterEach(() => {
    for (const one of users.splice(0)) one.leave();
    cutter.bytesPassedMax = Infinity;
  });
  afterAll(() => {
    cutter.stop();
  });

  describe('exits with', () => {
    it('0 once it is paid, tells what was paid on stdout, and forgets the key', async () => {
      const alice = user();
      const { code, stdout, stderr } = await alice.run('pay sam 1.50 GBP --key paid --reference rent');
      expect(code).toBe(0);
      const [payment] = await paymentsUnder('paid');
      expect(payment).toMatchObject({ status: 'succeeded', amount: 150 });
      expect(stdout).toBe(`Paid 1.50 GBP from alice to sam.\npayment  ${payment?.id}\nkey      paid\n`);
      expect(stderr).toMatch(/^Paying 1\.50 GBP to sam\nkey paid\nattempt 1 {2}POST \/payments {2}200 /);
      expect(alice.unfinished()).toEqual([]);
    });

    it('0 when the same is typed again with its key: told again, and paid once', async () => {
      const alice = user();
      const first = await alice.run('pay sam 100 GBP --key twice');
      const again = await alice.run('pay sam 100.00 GBP --key twice');
      expect([first.code, again.code]).toEqual([0, 0]);
      expect(again.stdout).toBe(first.stdout);
      expect(again.stderr).toContain('It was done before: this is the first answer, told again.');
      expect(await paymentsUnder('twice')).toHaveLength(1);
    });

    it('2 for a command line that is not right, before anything is sent', async () => {
      const alice = user();
      const lines = ['pay sam 100.001 GBP', 'pya', 'pay sam 1 GBP --jitter some', 'pay sam 1 GBP --key a,b'];
      for (const line of lines) {
        const { code, stdout, stderr } = await alice.run(line);
        expect([line, code, stdout]).toEqual([line, 2, '']);
        expect(stderr).toMatch(/^✗ /);
        expect(stderr).not.toContain('attempt');
      }
    });

    it.each([
      ['a payee that nobody knows (422)', 'pay nobody 1 GBP', 'The payee is unknown'],
      ['an account of somebody else’s (404 or 422)', 'pay sam 1 GBP --from sam', ''],
      [
        'a payment that is not there (404)',
        'refund 0198c2e4-7c1a-7e5b-9c38-2b1d6a0f4e11',
        'There is no such thing',
      ],
      ['a key that was never used (404)', 'status never-used', 'There is no such thing'],
      ['an amount above the limit (422)', 'pay sam 1000000.01 GBP', 'The amount is above the limit'],
      [
        'a refund of more than was paid (422)',
        'refund PAYMENT 1000 GBP',
        'More than was paid cannot be refunded',
      ],
      ['a refund in another currency', 'refund PAYMENT 1 EUR', 'The payment was made in GBP, not in EUR.'],
    ])('2 for %s: title, detail, the problem’s page, the request’s id', async (_, line, title) => {
      const alice = user();
      const id = line.includes('PAYMENT')
        ? String((await alice.run('pay sam 1 GBP --json')).json().data?.id)
        : '';
      const { code, stdout, stderr } = await alice.run(line.replace('PAYMENT', id));
      expect([code, stdout]).toEqual([2, '']);
      expect(stderr).toContain(`✗ ${title}`);
      if (!line.endsWith('EUR')) {
        expect(stderr).toMatch(new RegExp(`\n  ${api.url}/problems/[a-z_]+\n  request [0-9a-f-]{36}\n$`));
      }
      expect(stderr).not.toMatch(/\n\s+at /);
      expect(alice.unfinished()).toEqual([]);
    });

    it('2 for an API key that is not known, which it never shows', async () => {
      const stranger = user({ ...scene.alice, apiKey: 'sk_test_unknown' });
      const { code, stderr } = await stranger.run('pay sam 1 GBP --debug');
      expect(code).toBe(2);
      expect(stderr).toContain('✗ Who is calling?');
      expect(stderr).not.toContain('sk_test_unknown');
    });

    it('3 for a decline, and again when it is typed again', async () => {
      const poor = user(bob);
      const first = await poor.run('pay sam 100.00 GBP --key too-much');
      const again = await poor.run('pay sam 100.00 GBP --key too-much');
      expect([first.code, again.code, first.stdout]).toEqual([3, 3, '']);
      expect(first.stderr).toContain('✗ There is not enough money on the account');
      expect(again.stderr).toContain('It was told before');
      expect(await paymentsUnder('too-much')).toMatchObject([{ status: 'declined' }]);
      expect(poor.unfinished()).toEqual([]);
    });

    it('4 for a key that belongs to another payment, and names what differs', async () => {
      const alice = user();
      await alice.run('pay sam 1.00 GBP --key taken');
      const { code, stderr } = await alice.run('pay sam 2.00 GBP --key taken');
      expect(code).toBe(4);
      expect(stderr).toContain('for a request that differs in: amount.');
      expect(await paymentsUnder('taken')).toMatchObject([{ amount: 100 }]);
    });

    it('4 for a key that was cancelled', async () => {
      const alice = user();
      const cancelled = await alice.run('cancel closed');
      expect([cancelled.code, cancelled.stdout]).toEqual([0, expect.stringContaining('Closed for good')]);
      expect((await alice.run('pay sam 1 GBP --key closed')).code).toBe(4);
      expect((await alice.run('wait closed')).code).toBe(4);
      expect(await paymentsUnder('closed')).toEqual([]);
    });

    it('4 where it is too late to cancel, and tells what was paid', async () => {
      const alice = user();
      const paid = await alice.run('pay sam 1 GBP --key late');
      const { code, stdout, stderr } = await alice.run('cancel late');
      expect([code, stdout]).toEqual([4, paid.stdout]);
      expect(stderr).toContain('refund the payment');
    });

    it('5 when it was paid and every answer was lost; and the commands that it prints go on', async () => {
      const alice = user(scene.alice, cutter.url);
      cutter.bytesPassedMax = 20;
      const lost = await alice.run('pay sam 3 GBP --attempts 2 --jitter none');
      expect([lost.code, lost.stdout]).toEqual([5, '']);
      expect(lost.stderr).toContain('✗ The outcome is unknown');
      expect(lost.stderr).toMatch(
        /attempt 1 .* it may have been carried out .*\nwaiting 100 ms before attempt 2/,
      );
      expect(alice.unfinished()).toHaveLength(1);
      const key = /\n {2}key {2}(\S+)\n/.exec(lost.stderr)?.[1] ?? '';
      expect(await paymentsUnder(key)).toHaveLength(1);

      cutter.bytesPassedMax = Infinity;
      const [resume, wait] = printedCommands(lost);
      expect([resume, wait]).toEqual(['paysam resume', `paysam wait ${key}`]);
      const waited = await alice.runPrinted(wait ?? '');
      expect([waited.code, waited.stdout]).toEqual([0, expect.stringContaining('Paid 3.00 GBP')]);
      expect(alice.unfinished()).toEqual([]);
      const resumed = await alice.runPrinted(resume ?? '');
      expect([resumed.code, resumed.stdout]).toEqual([0, 'Nothing was left open.\n']);
      expect(await paymentsUnder(key)).toHaveLength(1);
    });

    it('5, and a command with the key in it where nothing was to be written down', async () => {
      const alice = user();
      cutter.bytesPassedMax = 20;
      const line = ['pay', 'sam', '3', 'GBP', '--reference', 'it’s; $(rent)', '--no-journal', '--attempts=1'];
      const lost = await alice.run([...line, '--url', cutter.url]);
      expect(lost.code).toBe(5);
      const key = /\n {2}key {2}(\S+)\n/.exec(lost.stderr)?.[1] ?? '';
      cutter.bytesPassedMax = Infinity;
      const [again, wait] = printedCommands(lost);
      expect(wait).toBe(`paysam wait ${key} --url ${cutter.url}`);
      expect((await alice.runPrinted(wait ?? '')).code).toBe(0);
      const paid = await alice.runPrinted(again ?? '');
      expect([paid.code, paid.stdout]).toEqual([0, expect.stringContaining(key)]);
      expect(await paymentsUnder(key)).toHaveLength(1);
      expect(alice.unfinished()).toEqual([]);
    });

    it('6 when nobody answers at the address: nothing was sent, and no key is kept', async () => {
      const alice = user(scene.alice, `http://127.0.0.1:${await freePort()}`);
      const pay = await alice.run('pay sam 1 GBP --attempts 2 --jitter none');
      expect([pay.code, pay.stdout]).toEqual([6, '']);
      expect(pay.stderr).toContain('✗ The service could not be reached\n  Nothing was done: ');
      expect(pay.stderr).not.toContain('paysam wait');
      expect(alice.unfinished()).toEqual([]);
      expect((await alice.run('balance --attempts 1')).code).toBe(6);
    });

    it('6 when the key cannot be written down: then nothing is sent', async () => {
      const alice = user();
      writeFileSync(join(alice.home, 'journal'), 'in the way');
      const { code, stderr } = await alice.run('pay sam 1 GBP --key unwritten');
      expect(code).toBe(6);
      expect(stderr).toContain('journal');
      expect(stderr).not.toContain('attempt 1');
      expect(await paymentsUnder('unwritten')).toEqual([]);
    });

    it('1 for what makes no sense, with its stack only where it is asked for', async () => {
      const liar = await startLiar();
      const alice = user(scene.alice, liar.url);
      const plain = await alice.run('wait some-key');
      const debugged = await alice.run('wait some-key --debug');
      liar.server.close();
      expect([plain.code, debugged.code]).toEqual([1, 1]);
      expect(plain.stderr).toContain('Something is broken on our side');
      expect(plain.stderr).not.toMatch(/\n\s+at /);
      expect(debugged.stderr).toMatch(/\n\s+at /);
    });
  });

  describe('in a pipe', () => {
    it('writes data to stdout, the story to stderr, and no colour', async () => {
      const { stdout, stderr } = await user().run('pay sam 1 GBP');
      expect(stdout + stderr).not.toContain('\x1b');
      expect(stdout).not.toContain('attempt');
      expect(stderr).not.toContain('Paid');
    });

    it('is coloured if somebody insists, on stderr alone', async () => {
      const { stdout, stderr } = await user().run('pay sam 1 GBP', { FORCE_COLOR: '1' });
      expect(stderr).toContain('\x1b[32m200');
      expect(stdout).not.toContain('\x1b');
    });

    it('tells no story with --quiet, and still says why it failed', async () => {
      const alice = user();
      expect((await alice.run('pay sam 1 GBP --quiet')).stderr).toBe('');
      expect((await alice.run('pay nobody 1 GBP --quiet')).stderr).toMatch(/^✗ The payee is unknown\n/);
      expect((await alice.run('pay nobody 1 GBP --quiet --json')).stderr).toBe('');
    });

    it('that nobody reads to its end is no error', async () => {
      const alice = user();
      const { code, stderr } = await alice.runPrinted('paysam help | true; paysam pay sam 1 GBP | true');
      expect(code).toBe(0);
      expect(stderr).not.toContain('EPIPE');
      // Of a pipe, a shell tells only the last one's exit code: this one tells the first one's.
      const told = await alice.runPrinted('{ paysam payments --json; echo "code $?" >&2; } | true');
      expect(told.stderr).toContain('code 0');
    });
  });

  describe('with --json', () => {
    it.each([
      ['pay sam 1 GBP', 0],
      ['payments --limit 2', 0],
      ['balance', 0],
      ['hammer json-hammer --times 3', 0],
      ['resume', 0],
      ['status never-used', 2],
      ['pay nobody 1 GBP', 2],
      ['pay sam 1,00 GBP', 2],
      ['pya', 2],
      ['cancel json-cancel', 0],
      ['wait json-cancel', 4],
    ])('“%s” writes exactly one object to stdout (exit code %i)', async (line, code) => {
      const ran = await user().run(`${line} --json`);
      expect(ran.code).toBe(code);
      expect(ran.stdout.trimEnd()).not.toContain('\n');
      const json = ran.json();
      expect(json).toHaveProperty(code === 0 ? 'data' : 'error');
      if (line !== 'resume') {
        expect(json).toMatchObject({
          attempts: expect.any(Number) as number,
          requestIds: expect.any(Array) as string[],
          replayed: false,
        });
        expect(json).toHaveProperty('idempotencyKey');
      }
    });

    it('shows amounts as the service does, and how the call went', async () => {
      const json = (await user().run('pay sam 1 GBP --json --key json-key')).json();
      expect(json).toMatchObject({
        data: { object: 'payment', amount: 100, status: 'succeeded' },
        idempotencyKey: 'json-key',
        attempts: 1,
        replayed: false,
      });
      expect(json.requestIds).toHaveLength(1);
    });

    it('tells a decline with the payment that was declined', async () => {
      const { error } = (await user(bob).run('pay sam 100 GBP --json')).json();
      expect(error).toMatchObject({
        kind: 'Declined',
        code: 'insufficient_funds',
        payment: { status: 'declined', amount: 10_000 },
      });
    });

    it('and --follow, every line is an object: what happens, and the result last', async () => {
      const { stdout, code } = await user().run('pay sam 1 GBP --json --follow');
      const lines = stdout
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line) as Record<string, unknown>);
      expect(code).toBe(0);
      expect(lines.map(({ type }) => type)).toEqual(['attempt', 'exchange', 'end', undefined]);
      expect(lines.at(-1)).toHaveProperty('data');
    });
  });

  describe('refunds', () => {
    it('a part, then the rest; and no more, unless the key is the same', async () => {
      const alice = user();
      const id = String((await alice.run('pay sam 10 GBP --json')).json().data?.id);
      const part = await alice.run(`refund ${id} 3.50 GBP`);
      expect([part.code, part.stdout]).toEqual([
        0,
        expect.stringContaining('Refunded 3.50 GBP from sam to alice.'),
      ]);
      const rest = await alice.run(`refund ${id} --key the-rest`);
      expect([rest.code, rest.stdout]).toEqual([0, expect.stringContaining('Refunded 6.50 GBP')]);
      const again = await alice.run(`refund ${id} --key the-rest`);
      expect([again.code, again.stdout]).toEqual([0, rest.stdout]);
      const more = await alice.run(`refund ${id}`);
      expect([more.code, more.stderr]).toEqual([2, expect.stringContaining('nothing left to refund')]);
    });
  });

  describe('reads', () => {
    it('balances, payments and keys, with amounts as they are typed', async () => {
      const carol = await scene.database.addCustomer({ name: 'carol', balance: 123_456 });
      const reader = user(carol);
      for (const key of ['one', 'two', 'three']) await reader.run(`pay sam 1.00 GBP --key ${key}`);
      const balance = await reader.run('balance');
      expect(balance.stdout).toMatch(
        /^account +posted +pending +available\ncarol +1231\.56 GBP +0\.00 GBP +1231\.56 GBP\n$/,
      );
      const payments = await reader.run('payments --limit 2');
      expect(payments.stdout.trimEnd().split('\n')).toHaveLength(3);
      const status = await reader.run('status two');
      expect(status.stdout).toMatch(/^key +two\noperation +payment\nstate +completed\n/);
      expect([balance.code, payments.code, status.code]).toEqual([0, 0, 0]);
    });

    it('a balance of a currency without decimals', async () => {
      const dave = await scene.database.addCustomer({ name: 'dave', balance: 500, currency: 'JPY' });
      expect((await user(dave).run('balance')).stdout).toContain('500 JPY');
    });
  });

  it('hammers one key with 200 sends at once, and there is one payment', async () => {
    const alice = user();
    const { code, stdout } = await alice.run('hammer nail --times 200 --amount 2.00 --json');
    const { hammer } = JSON.parse(stdout) as {
      hammer: { answers: Record<string, number>; payments: string[] };
    };
    const payments = await paymentsUnder('nail');
    expect(code).toBe(0);
    expect(payments).toMatchObject([{ status: 'succeeded', amount: 200 }]);
    expect(hammer.payments).toEqual(payments.map(({ id }) => id));
    expect(Object.values(hammer.answers).reduce((sum, count) => sum + count)).toBe(200);
    expect(hammer.answers.completed).toBe(1);
    expect(alice.unfinished()).toEqual([]);
    const again = await alice.run('hammer nail --times 5 --amount 2.00');
    expect(again.stdout).toMatch(/^already_completed +5\n\npayments +1 /);
  });

  it('leaves what another customer has left open', async () => {
    const alice = user(scene.alice, cutter.url);
    cutter.bytesPassedMax = 0;
    expect((await alice.run('pay sam 1 GBP --attempts 1 --key hers')).code).toBe(5);
    cutter.bytesPassedMax = Infinity;
    const asBob = await alice.run('resume', { PAYSAM_API_KEY: bob.apiKey });
    expect([asBob.code, asBob.stdout]).toEqual([0, 'Nothing of yours was left open here.\n']);
    expect(asBob.stderr).toContain('Left as it is: hers, by another customer');
    const elsewhere = await alice.run(`resume --url ${api.url}`);
    expect([elsewhere.code, elsewhere.stderr]).toEqual([
      0,
      `Left as it is: hers, for ${cutter.url}: paysam resume --url ${cutter.url}\n`,
    ]);
    expect(alice.unfinished()).toHaveLength(1);
    const asAlice = await alice.run('resume');
    expect([asAlice.code, asAlice.stdout]).toEqual([0, expect.stringContaining('Paid 1.00 GBP')]);
    expect(await paymentsUnder('hers')).toHaveLength(1);
    expect(alice.unfinished()).toEqual([]);
  });

  it('never takes a file that it cannot read for nothing', async () => {
    const alice = user();
    await alice.run('pay sam 1 GBP');
    writeFileSync(join(alice.home, 'journal', '.DS_Store'), 'not one of ours');
    const foreign = await alice.run('resume');
    expect([foreign.code, foreign.stderr]).toEqual([0, expect.stringContaining('.DS_Store')]);
    writeFileSync(join(alice.home, 'journal', `${'0'.repeat(64)}.json`), '{"version":1,');
    const damaged = await alice.run('resume --quiet');
    expect([damaged.code, damaged.stderr]).toEqual([5, expect.stringContaining('damaged: ')]);
  });

  it('says its version, and its help begins with examples', async () => {
    const alice = user();
    expect((await alice.run('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    expect((await alice.run('help')).stdout).toMatch(/^Pays once.*\n\nExamples:\n/);
    expect((await alice.run('help pay')).stdout).toMatch(/^Examples:\n/);
    expect((await alice.run('pay --help')).stdout).toMatch(/^Examples:\n/);
    expect((await alice.run([])).code).toBe(0);
  });
});

/** The lines below the key: each a comment, then what to type. */
function printedCommands({ stderr }: Ran): string[] {
  const lines = stderr.split('\n');
  return lines.filter((_, index) => lines[index - 1]?.startsWith('  # ')).map(line => line.trim());
}

/** A service whose stored answers are no JSON. */
async function startLiar(): Promise<{ url: string; server: Server }> {
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(
      JSON.stringify({
        key: request.url?.split('/').at(-1),
        object: 'operation',
        operation: 'payment',
        state: 'completed',
        response: { status: 200, body: '<html>' },
      }),
    );
  }).listen(0, '127.0.0.1');
  await new Promise(resolve => server.once('listening', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
