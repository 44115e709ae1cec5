import { inspect } from 'node:util';
import { systemClock, type Clock } from '../../src/clock.js';
import type { PaySamError } from '../../src/errors.js';
import type { ClientEvent } from '../../src/events.js';
import type { Exchange } from '../../src/exchange.js';
import { MemoryJournal } from '../../src/journal/memory-journal.js';
import type { PaySamOptions } from '../../src/options.js';
import { PaySam } from '../../src/pay-sam.js';

/** Attempts take their time; the waits between them take none. */
const impatient: Clock = { ...systemClock, sleep: () => Promise.resolve() };

export const paySam = { to: 'sam', amount: 100, currency: 'GBP' };

/** Somebody with one journal, whose clients tell what they do. New for each test, so that nothing is remembered. */
export class Caller {
  readonly apiKey = 'sk_secret_of_alice';
  readonly events: ClientEvent[] = [];
  readonly journal = new MemoryJournal();

  constructor(private readonly baseUrl: string) {}

  client(options: Partial<PaySamOptions> = {}): PaySam {
    return new PaySam({
      apiKey: this.apiKey,
      baseUrl: this.baseUrl,
      journal: this.journal,
      clock: impatient,
      onEvent: event => this.events.push(event),
      ...options,
    });
  }

  pay(options: Partial<PaySamOptions> = {}) {
    return this.client(options).payments.create(paySam);
  }

  exchanges(): Exchange[] {
    return this.events.flatMap(event => (event.type === 'exchange' ? [event.exchange] : []));
  }

  waits() {
    return this.events.flatMap(event => (event.type === 'wait' ? [event] : []));
  }

  /** Whether one call is still open in the journal. */
  async isRemembered(): Promise<boolean> {
    return (await this.journal.unfinished()).length === 1;
  }
}

/** @throws Error where it comes to a good end */
export function errorOf(work: Promise<unknown>): Promise<PaySamError> {
  return work.then(
    result => {
      throw new Error(`no error, but ${inspect(result)}`);
    },
    (error: unknown) => error as PaySamError,
  );
}
