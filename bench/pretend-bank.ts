import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { end, startBankServer, type Listening } from './child.js';

/** How a bank answers: how much later, and how long after it has accepted a transfer it settles it. */
export interface BankTimes {
  delayMs: number;
  settleMs: number;
}

/** Money that has left, by the bank's own books. */
export interface Charge {
  reference: string;
  amount: number;
}

const apiKey = 'bk_bench_paysam';

/** The other bank: the pretend one, in a process of its own, with books of its own that nobody keeps. */
export class PretendBank {
  private constructor(
    private readonly listening: Listening,
    private readonly folder: string,
  ) {}

  /** @param control whether it can be made not to answer */
  static async start(
    { delayMs, settleMs }: BankTimes,
    signal: AbortSignal,
    { control = false } = {},
  ): Promise<PretendBank> {
    const folder = mkdtempSync(join(tmpdir(), 'paysam-bench-bank-'));
    const environment = {
      BANK_BOOKS: join(folder, 'bank.db'),
      BANK_API_KEY: apiKey,
      BANK_DELAY_MS: String(delayMs),
      BANK_SETTLE_MS: String(settleMs),
      BANK_CONTROL: control ? '1' : '0',
    };
    try {
      return new PretendBank(await startBankServer(environment, signal), folder);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** What an API needs to reach it. */
  get environment(): { BANK_URL: string; BANK_API_KEY: string } {
    return { BANK_URL: this.listening.url, BANK_API_KEY: apiKey };
  }

  get pid(): number {
    return this.listening.process.pid ?? 0;
  }

  /** From now on it carries out what it is asked for, and answers nobody: what is worst for who asks. */
  async fallSilent(): Promise<void> {
    await this.ask('POST', '/control/faults', { kind: 'timeout_after', times: 0 });
  }

  /** Requests from now on are answered. Those that were swallowed stay so. */
  async answerAgain(): Promise<void> {
    await this.ask('DELETE', '/control/faults');
  }

  /** Every charge in its books, from its statement. There are no returns: nothing here makes it send money back. */
  async charges(): Promise<Charge[]> {
    const charges: Charge[] = [];
    for (let since = 0; ;) {
      const page = (await this.ask('GET', `/transfers?since=${since}`)) as {
        bookings: (Charge & { kind: 'charge' | 'return' })[];
        next: number;
      };
      charges.push(...page.bookings.filter(({ kind }) => kind === 'charge'));
      if (page.bookings.length === 0) return charges;
      since = page.next;
    }
  }

  async stop(): Promise<void> {
    await end(this.listening.process);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async ask(method: string, path: string, body?: object): Promise<unknown> {
    const answer = await fetch(this.listening.url + path, {
      method,
      headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`The bank answered ${method} ${path} with ${answer.status}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }
}
