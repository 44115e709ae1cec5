import type { Api } from '../support/api.js';
import type { Customer } from '../support/database.js';
import { call, together } from '../support/http.js';
import { watchMoney } from '../support/invariants.js';
import { isFirstAnswer, setUpScene } from '../support/scene.js';

describe('money is conserved', () => {
  const scene = setUpScene();
  let apis: Api[];

  beforeAll(async () => {
    apis = [await scene.boot(), await scene.boot()];
  });

  const balancesOf = async (...names: string[]) => {
    const rows = await scene.sql<{ id: string; balance: number }>(
      'SELECT id, credits_posted - debits_posted AS balance FROM accounts WHERE id = ANY ($1)',
      [names],
    );
    return Object.fromEntries(rows.map(({ id, balance }) => [id, balance]));
  };

  it('at every look, while 600 payments run to and fro over two instances', async () => {
    const names = ['ann', 'ben', 'cat', 'dan', 'eva', 'fay'];
    const payers: Customer[] = [];
    for (const name of names) payers.push(await scene.database.addCustomer({ name, balance: 1_000 }));

    const watch = await watchMoney(scene.database.url, 5);
    const answers = await together(600, index => {
      const from = index % 6;
      // Each pays each of the others; in every third payment more than most can afford.
      const to = names[(from + 1 + (Math.floor(index / 6) % 5)) % 6];
      const amount = index % 3 === 0 ? 900 : 1 + ((index * 37) % 150);
      return scene.pay(apis[(index >> 2) % 2] as Api, `to-and-fro-${index}`, { to, amount }, payers[from]);
    });
    const seen = await watch.stop();

    expect(seen.violations).toEqual([]);
    expect(seen.reads).toBeGreaterThan(20);
    expect(answers.every(isFirstAnswer)).toBe(true);
    const declined = answers.filter(answer => answer.status === 402).length;
    expect(declined).toBeGreaterThan(20);
    expect(declined).toBeLessThan(580);

    const expected: Record<string, number> = Object.fromEntries(names.map(name => [name, 1_000]));
    for (const { status, json } of answers) {
      if (status !== 200) continue;
      const { from, to, amount } = json as { from: string; to: string; amount: number };
      expected[from] = (expected[from] ?? 0) - amount;
      expected[to] = (expected[to] ?? 0) + amount;
    }
    expect(await balancesOf(...names)).toEqual(expected);
  });

  it('100 payments of £1 from an account with £50: fifty are paid, fifty declined, none goes below zero (F115)', async () => {
    const bob = await scene.database.addCustomer({ name: 'bob', balance: 5_000 });
    const { sam: before = 0 } = await balancesOf('sam');
    const watch = await watchMoney(scene.database.url, 5);
    const answers = await together(100, index =>
      scene.pay(apis[index % 2] as Api, `pound-${index}`, { amount: 100 }, bob),
    );
    expect((await watch.stop()).violations).toEqual([]);

    const statuses = answers.map(answer => answer.status).sort();
    expect(statuses).toEqual([...Array<number>(50).fill(200), ...Array<number>(50).fill(402)]);
    expect(await balancesOf('bob', 'sam')).toEqual({ bob: 0, sam: before + 5_000 });
    expect(
      await scene.sql(
        'SELECT status, count(*) AS n FROM payments WHERE customer_id = $1 GROUP BY status ORDER BY status',
        [bob.id],
      ),
    ).toEqual([
      { status: 'declined', n: 50 },
      { status: 'succeeded', n: 50 },
    ]);
  });

  it('in each list of accounts that its owner reads while moving money from one to the other', async () => {
    const carol = await scene.database.addCustomer({ name: 'carol', balance: 1_000 });
    await scene.sql("INSERT INTO accounts (id, customer_id, currency) VALUES ('carol-savings', $1, 'GBP')", [
      carol.id,
    ]);
    const accounts = ['carol', 'carol-savings'];
    const totals: number[] = [];
    const work = together(200, index =>
      scene.pay(
        apis[index % 2] as Api,
        `own-${index}`,
        { from: accounts[index % 2], to: accounts[(index + 1) % 2], amount: 7 },
        carol,
      ),
    );
    const finished = work.then(() => true);
    do {
      const { json } = await call(`${apis[0]?.url ?? ''}/accounts`, { apiKey: carol.apiKey });
      const list = json?.data as { balance: { posted: number; pending: number; available: number } }[];
      totals.push(list.reduce((sum, { balance }) => sum + balance.posted, 0));
    } while (!(await Promise.race([finished, Promise.resolve(false)])));

    expect((await work).every(isFirstAnswer)).toBe(true);
    expect(new Set(totals)).toEqual(new Set([1_000]));
    expect(totals.length).toBeGreaterThan(2);
  });
});
