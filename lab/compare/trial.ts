import { randomUUID } from 'node:crypto';
import { accountOf, apiKeyOf, samsAccount } from '../../bench/fill.js';
import { Caller } from './caller.js';
import { judge, type Verdict } from './judge.js';
import type { Instance, Stage } from './stage.js';

/** How long a key may come to no end while its caller retries, in milliseconds, before it counts as stuck. */
export const stuckAfterMs = 6_000;

/** One thing that goes wrong. */
export interface Fault {
  title: string;
  /** For the page: how it is brought about. */
  how: string;
  rail: 'ledger' | 'bank';
  run: (stage: Stage, trial: Trial) => Promise<void>;
}

/** One fault that befalls one intended payment: by a customer of its own, of an amount that no other has. */
export class Trial {
  readonly payer: string;
  readonly payee: string;
  private readonly amount: number;
  private readonly callers: Caller[] = [];
  private intruder: { caller: Caller; amount: number } | undefined;
  private untold = 0;
  private readonly key = randomUUID();

  private constructor(
    private readonly stage: Stage,
    private readonly rail: 'ledger' | 'bank',
    private readonly customer: number,
  ) {
    this.payer = accountOf(customer);
    this.payee = rail === 'ledger' ? samsAccount : `shop-${customer}`;
    this.amount = (rail === 'ledger' ? 1_000 : 101_000) + customer;
  }

  /** Brings the fault about, sends the same once more when all is over, and judges. */
  static async run(stage: Stage, { rail, run }: Fault, customer: number): Promise<Verdict> {
    const trial = new Trial(stage, rail, customer);
    await run(stage, trial);
    if (trial.untold === 0) await trial.end(stage.a);
    return trial.verdict();
  }

  /** A payment of which nothing goes wrong: whoever cannot make it is broken in another way than by design. */
  static async prove(stage: Stage, customer: number): Promise<void> {
    for (const rail of ['ledger', 'bank'] as const) {
      const trial = new Trial(stage, rail, customer);
      await trial.attempt(stage.a);
      const { doubled, lost } = await trial.verdict();
      if ((await trial.paid(stage)) !== 1 || doubled + lost > 0)
        throw new Error(`${stage.entry.name} cannot make a single payment on rail ${rail}.`);
    }
  }

  /** One attempt; whatever comes of it. */
  async attempt({ url }: Instance): Promise<void> {
    await this.caller(this.amount).attempt(url);
  }

  /** Asks until it is told something final. */
  async end({ url }: Instance, patienceMs = stuckAfterMs): Promise<void> {
    const caller = this.caller(this.amount);
    this.callers.push(caller);
    const isTold = await caller.untilTold(url, patienceMs);
    // A shorter patience is a caller's that comes back later; it proves nothing.
    if (!isTold && patienceMs === stuckAfterMs) this.untold += 1;
  }

  /** Another request under the same key. */
  async intrude({ url }: Instance): Promise<void> {
    const amount = this.amount + 1_000_000;
    const caller = this.caller(amount);
    this.intruder = { caller, amount };
    if (!(await caller.untilTold(url, stuckAfterMs))) this.untold += 1;
  }

  /** Payments in our books. */
  paid(stage: Stage, amount = this.amount): Promise<number> {
    return stage.count("SELECT count(*) FROM payments WHERE amount = $1 AND status = 'succeeded'", [amount]);
  }

  private async verdict(): Promise<Verdict> {
    const { stage, amount, rail, untold, intruder } = this;
    return judge({
      payments: await this.paid(stage),
      moved: await stage.count(
        "SELECT count(*) FROM transfers WHERE amount = $1 AND state = 'posted' AND payment_id IS NOT NULL",
        [amount],
      ),
      charges: rail === 'bank' ? await stage.bank.chargesOf(amount) : null,
      untold,
      ends: this.callers.flatMap(({ ends }) => ends),
      ...(intruder && {
        intruder: { ends: intruder.caller.ends, payments: await this.paid(stage, intruder.amount) },
      }),
    });
  }

  private caller(amount: number): Caller {
    const { payer: from, payee: to, rail, key, customer } = this;
    const body = { from, to, amount, currency: 'GBP', rail };
    return new Caller(this.stage.entry.client, { key, apiKey: apiKeyOf(customer), body });
  }
}
