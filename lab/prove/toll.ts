import type { ApiOptions, RealProcess } from '../../test/support/api-process.js';
import type { BankProcess } from '../../test/support/bank-process.js';

/** What has struck processes and the bank, counted by those who brought it about. */
export class Toll {
  clocksSet = 0;
  stalls = 0;
  reapersKilled = 0;
  backendsEnded = 0;
  failedStarts = 0;
  readonly atBank: Record<string, number> = {};

  /** Asks the bank what it did wrong since it was started: it forgets that when it is killed. */
  async noteBank(bank: BankProcess): Promise<void> {
    const told = await bank.control('GET', '/faults').catch(() => ({}));
    const { struck_by_kind: struck = {} } = told as { struck_by_kind?: Record<string, number> };
    for (const [kind, times] of Object.entries(struck)) {
      this.atBank[kind] = (this.atBank[kind] ?? 0) + times;
    }
  }

  /** What a process that is gone had said of itself. */
  noteEnd(gone: RealProcess, { faultSignal }: Pick<ApiOptions, 'faultSignal'>): void {
    const said = gone.stderr();
    if (faultSignal === 'STALL' && said.includes('fault point reached')) this.stalls += 1;
    if (said.includes('the clock was set')) this.clocksSet += 1;
  }
}
