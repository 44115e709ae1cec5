import type { Driven } from '../idempotency/drive.js';
import type { Held } from '../idempotency/operation.js';
import type { Engine } from '../idempotency/run-operation.js';
import type { Settings } from '../settings.js';
import { publish, type Completed } from './events.js';
import { loop, type Worker } from './loop.js';

/** Whether it makes sense to ask for much at the moment. */
interface Answering {
  readonly isAnswering: boolean;
}

type Needs = Pick<Settings, 'recoveriesAtOnceMax' | 'sweepMs'>;

/**
 * Brings operations to their end whose holders have gone: crashed, frozen, or given up because the bank did not
 * answer. It takes them over and drives them with the very code that a request runs.
 *
 * Any number of completers may run: each takes rows that nobody has locked, raises their epoch, and from then on the
 * other ones' writes touch nothing. While the circuit to the bank is open it takes one at a time, to see.
 */
export class Completer implements Worker<Completed> {
  readonly name = 'completer';
  private readonly underway = new Set<Promise<void>>();

  constructor(
    private readonly engine: Pick<Engine, 'takeOver' | 'drive'>,
    private readonly bank: Answering,
    private readonly settings: Needs,
  ) {}

  /** One that takes long does not keep the next sweep waiting. */
  async run(signal: AbortSignal): Promise<void> {
    await loop(signal, this.settings.sweepMs, {
      work: () => this.sweep(signal),
      onError: error => {
        publish({ worker: this.name, error });
      },
    });
    await Promise.all(this.underway);
  }

  async runOnce(signal?: AbortSignal): Promise<Completed> {
    const counts = await this.sweep(signal);
    await Promise.all(this.underway);
    return counts;
  }

  /** Takes over whatever is abandoned. The counts go on growing until each of them has left its holder. */
  private async sweep(signal?: AbortSignal): Promise<Completed> {
    const counts = { takenOver: 0, finished: 0, postponed: 0, parked: 0, lost: 0 };
    let isMore = true;
    while (isMore && !signal?.aborted) {
      const room = await this.room();
      const taken = await this.engine.takeOver(this.bank.isAnswering ? room : 1);
      counts.takenOver += taken.length;
      for (const held of taken) this.complete(held, counts);
      isMore = taken.length === room;
    }
    if (counts.takenOver > 0) publish({ worker: this.name, ...counts });
    return counts;
  }

  private complete(held: Held, counts: Record<Left, number>): void {
    const completing: Promise<void> = this.engine
      .drive(held)
      // Published as stranded. Its lease runs out, and it is met again.
      .then(leftAs, () => 'lost' as const)
      .then(how => {
        counts[how] += 1;
      })
      .finally(() => this.underway.delete(completing));
    this.underway.add(completing);
  }

  /** Waits until a quarter is free, so that they are taken over by the dozen, not one by one. */
  private async room(): Promise<number> {
    const { recoveriesAtOnceMax } = this.settings;
    while (this.underway.size > (recoveriesAtOnceMax * 3) / 4) await Promise.race(this.underway);
    return recoveriesAtOnceMax - this.underway.size;
  }
}

type Left = 'finished' | 'postponed' | 'parked' | 'lost';

function leftAs({ kind }: Driven): Left {
  if (kind === 'postponed' || kind === 'parked') return kind;
  return kind === 'fenced' ? 'lost' : 'finished';
}
