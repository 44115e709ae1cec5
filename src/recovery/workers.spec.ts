import type { BankClient } from '../bank/bank.client.js';
import type { Engine } from '../idempotency/run-operation.js';
import { allWorkers, Workers, type Means } from './workers.js';
import { WorkersInside } from './workers-inside.js';

describe('the workers', () => {
  const means = { dataSource: {}, settings: {}, engine: {} } as Means;

  it('are one of each kind; what needs a bank is there where there is one', () => {
    const names = (bank: Means['bank']) => allWorkers({ ...means, bank }).map(({ name }) => name);
    expect(names({ isAnswering: true } as Means['bank'])).toEqual(['completer', 'reaper', 'reconciler']);
    expect(names(null)).toEqual(['reaper']);
  });
});

describe('the workers inside an API', () => {
  /** Everything that lives and dies with the API, and what it does meanwhile. */
  function setUp() {
    const happened: string[] = [];
    const say = (what: string) => () => Promise.resolve(void happened.push(what));
    const worker = {
      name: 'reaper' as const,
      runOnce: () => Promise.resolve({}),
      run: async (signal: AbortSignal) => {
        happened.push('started');
        await new Promise(resolve => {
          signal.addEventListener('abort', resolve);
        });
        happened.push('stopping');
        await new Promise(setImmediate);
        happened.push('stopped');
      },
    };
    return {
      happened,
      workers: new Workers([worker]),
      engine: { onApplicationShutdown: say('engine done') } as Partial<Engine> as Engine,
      bank: { close: say('bank closed') } as Partial<BankClient> as BankClient,
    };
  }

  it('begin with it; at its end they stop before the engine does, and the way to the bank is closed last', async () => {
    const { happened, engine, bank, workers } = setUp();
    const inside = new WorkersInside(engine, bank, workers);
    inside.onApplicationBootstrap();
    expect(happened).toEqual(['started']);
    inside.beforeApplicationShutdown();
    await Promise.resolve();
    expect(happened).toEqual(['started', 'stopping']);
    await inside.onApplicationShutdown();
    expect(happened).toEqual(['started', 'stopping', 'stopped', 'engine done', 'bank closed']);
  });

  it('may be none, and so may the bank', async () => {
    const { happened, engine } = setUp();
    const inside = new WorkersInside(engine, null, null);
    inside.onApplicationBootstrap();
    inside.beforeApplicationShutdown();
    await inside.onApplicationShutdown();
    expect(happened).toEqual(['engine done']);
  });
});
