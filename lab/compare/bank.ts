import { PretendBank } from '../../bench/pretend-bank.js';

/** The other bank, which can be told what to do wrong. Its books are in a process that nothing here kills. */
export class ComparedBank {
  private constructor(private readonly bank: PretendBank) {}

  static async start(signal: AbortSignal): Promise<ComparedBank> {
    return new ComparedBank(await PretendBank.start({ delayMs: 0, settleMs: 0 }, signal, { control: true }));
  }

  get environment() {
    return this.bank.environment;
  }

  /** How often money of this amount has left. */
  async chargesOf(amount: number): Promise<number> {
    return (await this.bank.charges()).filter(charge => charge.amount === amount).length;
  }

  /** Holds the next transfer to this payee, before or after it is carried out. */
  async raiseBarrier(at: 'before' | 'after', creditor: string): Promise<Barrier> {
    const { id } = (await this.control('POST', '/barriers', { at, creditor, method: 'PUT' })) as {
      id: string;
    };
    return {
      reached: async () => {
        const { reached } = (await this.control('GET', `/barriers/${id}?wait_ms=5000`)) as {
          reached: boolean;
        };
        return reached;
      },
      remove: async () => {
        await this.control('DELETE', `/barriers/${id}`);
      },
    };
  }

  /** The next transfer to this payee is carried out and not answered; nor are the first two questions about it. */
  async fallSilent(creditor: string): Promise<void> {
    const silence = { kind: 'timeout_after', creditor };
    await this.control('POST', '/faults', { ...silence, method: 'PUT' });
    await this.control('POST', '/faults', { ...silence, method: 'GET', times: 2 });
  }

  /** It forgets the reference of the next transfer to this payee that it knows: to it, that is a new one. */
  async forget(creditor: string): Promise<void> {
    await this.control('POST', '/faults', { kind: 'forget', creditor, method: 'PUT' });
  }

  async stop(): Promise<void> {
    await this.bank.stop();
  }

  private async control(method: string, path: string, body?: object): Promise<unknown> {
    const { BANK_URL, BANK_API_KEY } = this.bank.environment;
    const answer = await fetch(`${BANK_URL}/control${path}`, {
      method,
      headers: { authorization: `Bearer ${BANK_API_KEY}`, 'content-type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`The bank answered ${method} ${path} with ${answer.status}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }
}

export interface Barrier {
  /** Waits for 5 s at most. */
  reached(): Promise<boolean>;
  /** What was held goes on, even if its caller has gone. */
  remove(): Promise<void>;
}
