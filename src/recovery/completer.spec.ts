import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Driven } from '../idempotency/drive.js';
import type { Held } from '../idempotency/operation.js';
import { Completer } from './completer.js';

const ended = { kind: 'replayed' } as unknown as Driven;
const left = (kind: 'postponed' | 'parked' | 'fenced') => ({ kind }) as Driven;

/** What stands in for the engine: so many abandoned operations, each of which comes to the end that it is given. */
class Backlog {
  readonly asked: number[] = [];
  underway = 0;
  underwayMax = 0;
  private readonly open: (() => void)[] = [];

  constructor(
    private waiting: (Driven | Error)[],
    private readonly isHeldUp = false,
  ) {}

  takeOver = (limit: number): Promise<Held[]> => {
    this.asked.push(limit);
    return Promise.resolve(this.waiting.splice(0, limit) as unknown as Held[]);
  };

  drive = async (held: Held): Promise<Driven> => {
    this.underwayMax = Math.max(this.underwayMax, (this.underway += 1));
    await (this.isHeldUp ? new Promise<void>(resolve => this.open.push(resolve)) : sleep(1));
    this.underway -= 1;
    const end = held as unknown as Driven | Error;
    if (end instanceof Error) throw end;
    return end;
  };

  release(count = this.open.length): void {
    for (const go of this.open.splice(0, count)) go();
  }
}

describe('the completer', () => {
  const seen: object[] = [];
  const listener = (event: unknown) => seen.push(event as object);
  beforeEach(() => {
    seen.length = 0;
    subscribe('paysam.recovery', listener);
  });
  afterEach(() => {
    unsubscribe('paysam.recovery', listener);
  });
  const settings = { recoveriesAtOnceMax: 8, sweepMs: 10 };
  const answering = { isAnswering: true };

  it('counts what becomes of each, and tells it once', async () => {
    const backlog = new Backlog([
      ended,
      left('postponed'),
      left('parked'),
      left('fenced'),
      new Error('gone'),
      ended,
    ]);
    const counts = { takenOver: 6, finished: 2, postponed: 1, parked: 1, lost: 2 };
    expect(await new Completer(backlog, answering, settings).runOnce()).toEqual(counts);
    expect(seen).toEqual([{ worker: 'completer', ...counts }]);
    expect(backlog.asked).toEqual([8]);
  });

  it('goes on for as long as there are more, and has no more under way than it may', async () => {
    const backlog = new Backlog(Array<Driven>(100).fill(ended));
    const { finished } = await new Completer(backlog, answering, settings).runOnce();
    expect(finished).toBe(100);
    expect(backlog.underwayMax).toBe(8);
  });

  it('waits until a quarter is free, and then asks for that', async () => {
    const backlog = new Backlog(Array<Driven>(9).fill(ended), true);
    const running = new Completer(backlog, answering, settings).runOnce();
    await until(() => backlog.underway === 8);
    backlog.release(1);
    await sleep(5);
    expect(backlog.asked).toEqual([8]);
    backlog.release(1);
    await until(() => backlog.asked.length === 2);
    expect(backlog.asked).toEqual([8, 2]);
    await until(() => backlog.underway === 7);
    backlog.release();
    expect(await running).toMatchObject({ takenOver: 9, finished: 9 });
  });

  it('asks for no more once fewer came than there was room for', async () => {
    const backlog = new Backlog(Array<Driven>(8).fill(ended));
    await new Completer(backlog, answering, settings).runOnce();
    expect(backlog.asked).toHaveLength(2);
  });

  it('takes one to see while the bank does not answer, and leaves the others', async () => {
    const backlog = new Backlog(Array<Driven>(5).fill(left('postponed')));
    const bank = { isAnswering: false };
    expect(await new Completer(backlog, bank, settings).runOnce()).toMatchObject({
      takenOver: 1,
      postponed: 1,
    });
    expect(backlog.asked).toEqual([1]);
  });

  it('takes nothing over once it is told to stop', async () => {
    const backlog = new Backlog([ended]);
    expect(await new Completer(backlog, answering, settings).runOnce(AbortSignal.abort())).toMatchObject({
      takenOver: 0,
    });
    expect(backlog.asked).toEqual([]);
  });

  it('sweeps again while an earlier operation takes long, and waits for it when it stops', async () => {
    const backlog = new Backlog([ended, ended], true);
    const stopping = new AbortController();
    const running = new Completer(backlog, answering, settings).run(stopping.signal);
    await until(() => backlog.asked.length >= 3);
    expect(backlog.underway).toBe(2);

    stopping.abort();
    let isOver = false;
    void running.then(() => (isOver = true));
    await sleep(30);
    expect(isOver).toBe(false);
    backlog.release();
    await running;
    expect(backlog.underway).toBe(0);
  });

  it('tells of an error, and sweeps again', async () => {
    const gone = new Error('gone');
    let times = 0;
    const engine = {
      takeOver: () => ((times += 1), Promise.reject(gone)),
      drive: () => Promise.resolve(ended),
    };
    const stopping = new AbortController();
    const running = new Completer(engine, answering, settings).run(stopping.signal);
    await until(() => times >= 2);
    stopping.abort();
    await running;
    expect(seen).toContainEqual({ worker: 'completer', error: gone });
  });
});

async function until(isTrue: () => boolean): Promise<void> {
  for (let looks = 0; looks < 500 && !isTrue(); looks += 1) await sleep(5);
  expect(isTrue()).toBe(true);
}
