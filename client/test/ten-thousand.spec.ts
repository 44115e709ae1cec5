import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiProcess } from '../../test/support/api-process.js';
import type { Customer } from '../../test/support/database.js';
import { setUpScene } from '../../test/support/scene.js';
import { PaySam } from '../src/client.js';
import { newKey } from '../src/key.js';
import { FaultyProxy, faults } from './support/faulty-proxy.js';
import { seeded } from './support/seeded.js';

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9));

interface Order {
  readonly id: number;
  /** The same as its id: each has its own, so that one that is lost and one that is doubled do not make up for it. */
  readonly amount: number;
  /** Null in a shop that keeps none. */
  readonly key: string | null;
}

/** What is found of a process that was killed. */
interface Death {
  readonly while: string;
  readonly unfinished: number;
}

/** The seed repeats the faults in their order, and the kills; which payment meets which is up to two processes. */
describe(`one exchange in five fails, and the shop is killed again and again (seed ${seed})`, () => {
  const scene = setUpScene();
  const random = seeded(seed);
  let api: ApiProcess;
  let proxy: FaultyProxy;
  let home: string;

  beforeAll(async () => {
    api = await scene.start();
  });

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'shop-'));
    proxy = await FaultyProxy.start({ apiPort: api.port, random });
    proxy.choose = () => (random() < 0.2 ? faults[Math.floor(random() * faults.length)] : undefined);
  });

  afterEach(async () => {
    proxy.stop();
    await rm(home, { recursive: true, force: true });
  });

  it('ten thousand payments arrive, each once: the key is kept with the order', async () => {
    const orders = newOrders(10_000, { keepsKeys: true });
    const shop = await scene.database.addCustomer({ name: 'careful-shop', balance: 100_000_000 });
    const deaths = await payAll(orders, { shop, killsMax: 20 });

    await expectEachPaidOnce(shop, orders);
    const [paid] = await scene.sql<{ keys: string[] }>(
      'SELECT array_agg(idempotency_key) AS keys FROM payments WHERE customer_id = $1',
      [shop.id],
    );
    expect(paid?.keys.sort()).toEqual(orders.map(({ key }) => key).sort());
    expectHardTimes(deaths, { killsMax: 20, strikesMin: 100 });
  }, 240_000);

  it('a thousand payments arrive, each once, without a key in any order: the journal has those that matter', async () => {
    const orders = newOrders(1_000, { keepsKeys: false });
    const shop = await scene.database.addCustomer({ name: 'small-shop', balance: 100_000_000 });
    const deaths = await payAll(orders, { shop, killsMax: 8 });

    await expectEachPaidOnce(shop, orders);
    expectHardTimes(deaths, { killsMax: 8, strikesMin: 5 });
  }, 120_000);

  function newOrders(count: number, { keepsKeys }: { keepsKeys: boolean }): Order[] {
    return Array.from({ length: count }, (_, index) => {
      const id = index + 1;
      return { id, amount: id, key: keepsKeys ? newKey() : null };
    });
  }

  /** Life after life of the shop, until one of them is done. */
  async function payAll(
    orders: Order[],
    { shop, killsMax }: { shop: Customer; killsMax: number },
  ): Promise<Death[]> {
    await writeFile(join(home, 'orders.json'), JSON.stringify(orders));
    const deaths: Death[] = [];
    for (;;) {
      // Mostly after some payments, never so many that there is nothing left to be killed in the end; and every fourth
      // time as soon as it has begun to resume.
      const isSoon = deaths.length % 4 === 3;
      const share = (0.8 * orders.length) / (0.75 * killsMax);
      const paidMax = deaths.length === killsMax ? Infinity : isSoon ? 0 : Math.floor(random() * share);
      const life = await live(shop, { keepsKeys: orders[0]?.key !== null, paidMax });
      if (life.told) {
        console.log(
          `Seed ${seed}: ${orders.length} payments, ${proxy.exchanges} exchanges, of them broken: ` +
            `${JSON.stringify(proxy.struck)}. Killed: ${JSON.stringify(deaths)}. The last life: ${life.told}.`,
        );
        return deaths;
      }
      deaths.push({ while: life.phase, unfinished: (await unfinished()).length });
    }
  }

  /** One process of the shop, from its start until it is done, or has paid so many orders and a moment has passed. */
  async function live(shop: Customer, { keepsKeys, paidMax }: { keepsKeys: boolean; paidMax: number }) {
    const options = {
      baseUrl: proxy.url,
      apiKey: shop.apiKey,
      ordersFile: join(home, 'orders.json'),
      paidFile: join(home, 'paid'),
      journalDirectory: join(home, 'journal'),
      lanes: 32,
      keepsKeys,
    };
    const child = spawn(process.execPath, ['client/test/support/shop.mjs', JSON.stringify(options)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const life = { phase: '', told: '' };
    const momentMs = random() * 100;
    let [paid, rest, stderr] = [0, '', ''];
    let isDoomed = false;
    const hear = (line: string) => {
      const [word = '', what = ''] = line.split(' ', 2);
      if (word === 'paid') paid += 1;
      else if (word === 'done') life.told = what;
      else life.phase = word;
      if (paid < paidMax || isDoomed) return;
      isDoomed = true;
      void sleep(momentMs).then(() => child.kill('SIGKILL'));
    };
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      lines.forEach(hear);
    });
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== null && code !== 0) throw new Error(`the shop gave up: ${stderr}`);
    return life;
  }

  /** By Sam's account, and by the rows: believing neither the shop nor the client. */
  async function expectEachPaidOnce(shop: Customer, orders: Order[]): Promise<void> {
    expect(await unfinished()).toEqual([]);
    // What the network has held back is on its way still: it must not pay a second time either.
    while (proxy.underway > 0) await sleep(50);
    const [books] = await scene.sql(
      `SELECT count(*) AS payments, count(DISTINCT reference) AS references, count(DISTINCT amount) AS amounts,
         count(*) FILTER (WHERE reference = 'order-' || amount AND status = 'succeeded') AS as_ordered, sum(amount)
       FROM payments WHERE customer_id = $1`,
      [shop.id],
    );
    const [count, sum] = [orders.length, orders.reduce((total, { amount }) => total + amount, 0)];
    expect(books).toEqual({
      payments: count,
      references: count,
      amounts: count,
      as_ordered: count,
      sum: String(sum),
    });
    const asSam = new PaySam({ apiKey: scene.sam.apiKey, baseUrl: api.url });
    const { posted, available } = (await asSam.accounts.get('sam')).data.balance;
    expect([posted - samHadBefore, available - samHadBefore]).toEqual([sum, sum]);
    samHadBefore = posted;
  }
  let samHadBefore = 0;

  /** Where nothing went wrong, nothing was proved. */
  function expectHardTimes(
    deaths: Death[],
    { killsMax, strikesMin }: { killsMax: number; strikesMin: number },
  ) {
    expect(deaths).toHaveLength(killsMax);
    expect(new Set(deaths.map(death => death.while))).toEqual(new Set(['resuming', 'paying']));
    const interrupted = deaths.reduce((total, death) => total + death.unfinished, 0);
    expect(interrupted).toBeGreaterThan(5 * killsMax);
    for (const fault of faults) expect([fault, proxy.struck[fault] >= strikesMin]).toEqual([fault, true]);
    const broken = Object.values(proxy.struck).reduce((total, times) => total + times, 0);
    expect(broken / proxy.exchanges).toBeGreaterThan(0.15);
  }

  async function unfinished(): Promise<string[]> {
    return (await readdir(join(home, 'journal')).catch(() => [])).filter(name => name.endsWith('.json'));
  }
});
