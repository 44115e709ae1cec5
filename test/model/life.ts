import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { HttpEnd } from '../../src/bank/bank-request.js';
import { BankClient } from '../../src/bank/bank.client.js';
import { createEngine } from '../../src/engine.js';
import type { EngineEvent } from '../../src/idempotency/events.js';
import type { Cancellation } from '../../src/idempotency/cancel.js';
import type { Outcome } from '../../src/idempotency/operation.js';
import { takePayment, type PaymentParams } from '../../src/payments/take-payment.js';
import { Completer } from '../../src/recovery/completer.js';
import { Reaper } from '../../src/recovery/reaper.js';
import { Settings } from '../../src/settings.js';
import type { HttpReply, Request } from './bank.js';
import { dataSourceOver } from './data-source.js';
import type { Reply, Sent } from './store.js';
import { takeTurn, whoseTurn, type Surroundings } from './time-and-chance.js';

/** What a process is started for. It lives until that is done, or until it is killed. */
export type Errand = Readonly<
  { life: string } & (
    { does: 'pay'; keys: readonly string[] } | { does: 'sweep' | 'reap' } | { does: 'cancel'; key: string }
  )
>;

/** What a process waits for. `id` counts what it ever waited for, so an answer finds its question. */
export type Ask = Readonly<{ id: number }> & (SqlAsk | BankAsk | TimerAsk);
export type SqlAsk = Readonly<{ kind: 'sql'; connection: number; sent: Sent }>;
export type BankAsk = Readonly<{ kind: 'bank'; request: Request }>;
/** A timer that may fire whenever it likes. */
export type TimerAsk = Readonly<{ kind: 'timer' }>;

/** What it is given. A lost connection takes along whatever else was sent on it. */
export type Input = Readonly<
  { ask: number } & (
    | { reply: Reply }
    | { isConnectionLost: true }
    | { answer: HttpReply }
    | { failure: 'not sent' | 'time-out' }
    | { fires: true }
  )
>;

/** What a caller was told, or how an errand without a caller ended. */
export type Told = Readonly<{ key: string } & ({ outcome: Outcome | Cancellation } | { error: string })>;

/** All that can be seen of a process from outside. */
export interface View {
  readonly asks: readonly Ask[];
  readonly told: readonly Told[];
  /** The calls it has begun: by which attempt, in which epoch, at which recovery point. */
  readonly calls: readonly string[];
  readonly isOver: boolean;
}

export const customerId = '00000000-0000-4000-8000-00000000a11c';

/** Waits do not matter here, only their order. The lease, what is kept and what is counted are made small. */
export const settings: Settings = Object.assign(new Settings(), {
  leaseMs: 30_000,
  answerRetentionMs: 120_000,
  bankRequestsMax: 3,
  bankRetryTokens: Number.MAX_SAFE_INTEGER,
  recoveryAttemptsMax: 6,
  batchRepeatsMax: 2,
  answersCachedBytes: 0,
});

export const params: PaymentParams = {
  from: 'alice',
  to: 'sam',
  amount: 100,
  currency: 'GBP',
  rail: 'bank',
  reference: null,
};

/** So often a process asks again, within one call, whether the bank has settled. */
const pausesMax = 0;

/**
 * One life of a process: the engine, its statements and its bank client as they are in `src`, and a world that answers
 * when the schedule lets it. It does nothing between two answers but wait.
 */
export class Life implements Surroundings {
  elapsedMs = 0;
  private ids = 0;
  private questions = 0;
  private readonly asks = new Map<number, Ask & { settle: (input: Input) => void }>();
  private readonly lost = new Set<number>();
  private readonly told: Told[] = [];
  private readonly calls: string[] = [];
  private errandsLeft = 0;

  private constructor(private readonly errand: Errand) {}

  static async begin(errand: Errand): Promise<Life> {
    const life = new Life(errand);
    await takeTurn(life, () => {
      life.start();
    });
    return life;
  }

  /** Gives it what it waited for, and lets it go on until it waits again. */
  async take(inputs: readonly Input[]): Promise<void> {
    const answered = inputs.map(input => ({ input, ask: this.asks.get(input.ask) }));
    await takeTurn(this, () => {
      for (const { ask, input } of answered) ask?.settle(input);
    });
  }

  get view(): View {
    const asks = [...this.asks.values()].map(({ settle: _, ...ask }) => ask);
    const isOver = this.errandsLeft === 0 && asks.every(({ kind }) => kind === 'timer');
    return { asks, told: [...this.told], calls: [...this.calls], isOver };
  }

  thinkUpId(): string {
    return `${this.errand.life}, id ${(this.ids += 1)}`;
  }

  setTimer(fire: () => void, ms: number) {
    const id = this.ask({ kind: 'timer' }, () => {
      this.elapsedMs = Math.max(this.elapsedMs, ms);
      fire();
    });
    const clear = () => void this.asks.delete(id);
    // What may be left undone when a process ends, nothing may rest on.
    const timer = { clear, unref: () => (clear(), timer) };
    return timer;
  }

  noteCall({ attempts, point }: EngineEvent): void {
    if (point !== 'call_begins') return;
    this.calls.push(
      ...attempts.map(({ attemptId, epoch, recoveryPoint }) => `${attemptId} ${epoch} ${recoveryPoint}`),
    );
  }

  exchange(request: Request): Promise<HttpEnd> {
    return new Promise(resolve => {
      this.ask({ kind: 'bank', request }, input => {
        resolve(toHttpEnd(input));
      });
    });
  }

  private start(): void {
    const { errand } = this;
    const dataSource = dataSourceOver((connection, sent) => this.send(connection, sent));
    const engine = createEngine(dataSource, bankClient(), settings);
    switch (errand.does) {
      case 'pay':
        for (const key of errand.keys) {
          const patience = { firstMs: 0, repeatMs: 0 };
          this.await(
            key,
            engine.run(takePayment, { customerId, key }, { params, patience }).then(told => told.outcome),
          );
        }
        return;
      case 'cancel':
        this.await(errand.key, engine.cancel({ customerId, key: errand.key }));
        return;
      case 'sweep':
        this.await('', new Completer(engine, { isAnswering: true }, settings).runOnce());
        return;
      case 'reap':
        this.await('', new Reaper(dataSource, settings).runOnce());
    }
  }

  private await(key: string, end: Promise<unknown>): void {
    this.errandsLeft += 1;
    const over = (told: object) => {
      this.errandsLeft -= 1;
      this.told.push({ key, ...told } as Told);
    };
    end.then(
      outcome => {
        over({ outcome });
      },
      (error: unknown) => {
        over({ error: String(error) });
      },
    );
  }

  private send(connection: number, sent: Sent): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.lost.has(connection)) reject(connectionLost());
      else {
        this.ask({ kind: 'sql', connection, sent }, input => {
          if ('reply' in input) resolve(input.reply);
          else {
            reject(connectionLost());
            this.loseAllOn(connection);
          }
        });
      }
    });
  }

  private loseAllOn(connection: number): void {
    this.lost.add(connection);
    for (const ask of this.asks.values()) {
      if (ask.kind === 'sql' && ask.connection === connection)
        ask.settle({ ask: ask.id, isConnectionLost: true });
    }
  }

  /** @returns its id; it is settled once, and then it is gone */
  private ask(ask: SqlAsk | BankAsk | TimerAsk, settle: (input: Input) => void): number {
    const id = (this.questions += 1);
    const once = (input: Input) => {
      if (this.asks.delete(id)) settle(input);
    };
    this.asks.set(id, { ...ask, id, settle: once });
    return id;
  }
}

/** As the driver reports it: in words of a socket, no word of the server's. */
function connectionLost(): Error {
  return Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
}

/** The channel is the whole process's, so nothing may stay on it when another suite begins. */
const listener = (event: unknown) => {
  (whoseTurn() as Life).noteCall(event as EngineEvent);
};
subscribe('paysam.engine', listener);
afterAll(() => unsubscribe('paysam.engine', listener));

/** The client as it is, on a line that leads to the model's bank. It remembers nothing, so all lives share one. */
let client: BankClient | undefined;

function bankClient(): BankClient {
  client ??= new BankClient({ ...settings, bankUrl: 'http://bank.model', bankApiKey: 'none' });
  return Object.assign(client, { line });
}

const line = {
  isAnswering: true,
  during: (_: AbortSignal, work: (call: object) => Promise<unknown>) => {
    let pauses = 0;
    return work({ requests: 0, pause: () => Promise.resolve((pauses += 1) <= pausesMax) });
  },
  exchange: (_: object, method: 'GET' | 'PUT', path: string, body = ''): Promise<HttpEnd> => {
    const reference = decodeURIComponent(path.slice('/transfers/'.length));
    return (whoseTurn() as Life).exchange({ method, reference, body });
  },
};

function toHttpEnd(input: Input): HttpEnd {
  if ('answer' in input) {
    const { status, body } = input.answer;
    const bytes = Buffer.from(body);
    return { answer: { status, contentType: 'application/json', retryAfter: undefined, body: bytes } };
  }
  const isSent = 'failure' in input && input.failure === 'time-out';
  const reason = isSent ? 'no answer in time' : 'refused';
  return { failure: { isSent, isTimeout: isSent, blame: 'bank', reason } };
}
