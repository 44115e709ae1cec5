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
  private readonly underway = new Set<Promise<unknown>>();

  constructor(
    private readonly engine: Pick<Engine, 'takeOver' | 'drive'>,
    private readonly bank: Answering,
    private readonly settings: Needs,
  ) {}

  async run(signal: AbortSignal): Promise<void> {
    await loop(signal, this.settings.sweepMs, {
      // One that takes long does not keep the next sweep waiting.
      work: async () => void this.tell(await this.sweep(signal)),
      onError: error => {
        publish({ worker: this.name, error });
      },
    });
    await Promise.all(this.underway);
  }

  async runOnce(signal?: AbortSignal): Promise<Completed> {
    return this.tell(await this.sweep(signal));
  }

  /** Takes over whatever is abandoned, and starts to drive it. @returns what becomes of each */
  private async sweep(signal?: AbortSignal): Promise<Promise<Left>[]> {
    const left: Promise<Left>[] = [];
    let isMore = true;
    while (isMore && !signal?.aborted) {
      const room = await this.room();
      const taken = await this.engine.takeOver(this.bank.isAnswering ? room : 1);
      left.push(...taken.map(held => this.complete(held)));
      isMore = taken.length === room;
    }
    return left;
  }

  private complete(held: Held): Promise<Left> {
    // What is thrown is published as stranded. Its lease runs out, and it is met again.
    const left = this.engine.drive(held).then(leftAs, () => 'lost' as const);
    const done = left.then(() => void this.underway.delete(done));
    this.underway.add(done);
    return left;
  }

  private async tell(sweep: Promise<Left>[]): Promise<Completed> {
    const counts = { takenOver: sweep.length, finished: 0, postponed: 0, parked: 0, lost: 0 };
    for (const how of await Promise.all(sweep)) counts[how] += 1;
    publish({ worker: this.name, ...counts });
    return counts;
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
