import { setTimeout as sleep } from 'node:timers/promises';
import type { Claim, Decision, Held } from '../../src/idempotency/operation.js';
import { watchEngine } from '../support/engine-events.js';
import { EngineScene, finish, owner, paid, postpone, type Script } from './engine-scene.js';

/** Calls that a test lets go on, one by one. */
class Calls {
  readonly helds: Held[] = [];
  private readonly open: (() => void)[] = [];

  readonly call = (held: Held) => {
    this.helds.push(held);
    return new Promise<string>(resolve => {
      this.open.push(() => {
        resolve('told');
      });
    });
  };

  async begun(count: number): Promise<void> {
    await until(() => this.helds.length >= count);
    expect(this.helds).toHaveLength(count);
  }

  answer(): void {
    this.open.shift()?.();
  }
}

/** The engine as it is over the model's database: what calls another company, and whoever waits meanwhile. */
describe('an operation that calls another company goes on', () => {
  let calls: Calls;
  const sceneOf = (script: Script = {}) => new EngineScene({ call: calls.call, ...script });
  const patient: [number, number] = [5_000, 0];
  const impatient: [number, number] = [0, 0];
  const params = { amount: 100 };
  beforeEach(() => {
    calls = new Calls();
  });

  it('first it is written that the call may be made, then it is made, then its result is recorded', async () => {
    const recorded: unknown[] = [];
    const scene = sceneOf({ record: (claim: Claim, result) => (recorded.push(claim, result), finish) });
    const engine = scene.engine();
    const expiresAt = new Date(scene.database.now + 120_000);
    const outcome = scene.run(engine, 'k', params, patient);
    await calls.begun(1);
    const held = { point: 'funds_reserved', state: { payment_id: 'p' }, epoch: 1, attempts: 1 };
    expect(calls.helds).toMatchObject([{ ...held, mayBeSent: false, ageMs: 0 }]);
    expect(await engine.lookAt(owner('k'))).toMatchObject({
      recoveryPoint: 'funds_reserved',
      state: { payment_id: 'p' },
      mayBeSent: true,
      leaseLeftMs: 30_000,
      epoch: 1,
      attempts: 1,
      answer: null,
      finishedAt: null,
    });
    scene.database.pass(700);
    calls.answer();
    expect(await outcome).toEqual({
      kind: 'completed',
      answer: paid,
      expiresAt: new Date(expiresAt.getTime() + 700),
    });
    const at = new Date(scene.database.now);
    expect(recorded).toMatchObject([{ state: { payment_id: 'p' }, at }, 'told']);
    expect(scene.database.row('k')).toMatchObject({ recovery_point: 'finished', locked_until: null });
  });

  it('without its caller, who is told what there is to see, and when to ask', async () => {
    const scene = sceneOf();
    const engine = scene.engine();
    const expiresAt = new Date(scene.database.now + 120_000);
    const pending = { kind: 'pending', body: '{"status":"pending"}', retryAfterSeconds: 1, expiresAt };
    expect(await scene.run(engine, 'k')).toEqual(pending);
    calls.answer();
    await engine.onApplicationShutdown();
    expect(await scene.run(engine, 'k', params, impatient)).toMatchObject({ kind: 'replayed' });
    expect(calls.helds).toHaveLength(1);
  });

  it('while a repeat is told for how long, or waits, and is told the end', async () => {
    const scene = sceneOf();
    const [engine, another] = [scene.engine(), scene.engine()];
    const first = scene.run(engine, 'k', params, patient);
    await calls.begun(1);
    scene.database.pass(10_500);
    const expiresAt = scene.database.row('k')?.expires_at ?? 0;
    expect(await scene.run(another, 'k', params, patient)).toEqual({
      kind: 'in_progress',
      retryAfterSeconds: 20,
      expiresAt: new Date(expiresAt),
    });
    const claims = () => scene.database.sent.filter(name => name === 'claim_keys').length;
    const before = claims();
    const repeat = scene.run(another, 'k', params, [0, 5_000]);
    await sleep(350);
    // It looks now and then, and claims nothing before there is something to have.
    expect(claims()).toBe(before + 1);
    calls.answer();
    expect(await first).toMatchObject({ kind: 'completed' });
    expect(await repeat).toMatchObject({ kind: 'replayed', answer: paid });
    expect((await another.lookAt(owner('k')))?.duplicates).toBe(2);
  });

  it('by whoever asks after its holder has gone; what the old one says then touches nothing', async () => {
    const events = watchEngine();
    const answers: Decision[] = [finish, { kind: 'park', reason: 'too late' }];
    const scene = sceneOf({ record: () => answers.shift() ?? finish });
    const [engine, another] = [scene.engine(), scene.engine()];
    const first = scene.run(engine, 'k', params, patient);
    await calls.begun(1);
    scene.database.pass(30_001);
    const second = scene.run(another, 'k', params, patient);
    await calls.begun(2);
    expect(calls.helds[1]).toMatchObject({ epoch: 2, attempts: 2, mayBeSent: true, ageMs: 30_001 });
    expect(scene.database.row('k')).toMatchObject({ epoch: 2, attempts: 2, may_be_sent: true });
    // The old holder first: it is fenced, waits for the other as a first caller would, and is told the end.
    calls.answer();
    await until(() => events.at('fenced').length === 1);
    expect(answers).toHaveLength(2);
    calls.answer();
    expect(await second).toMatchObject({ kind: 'completed' });
    expect(await first).toMatchObject({ kind: 'replayed' });
    expect(events.at('taken_over').map(({ attempts }) => attempts)).toMatchObject([[{ epoch: 2 }]]);
    events.stop();
  });

  it('by a repeat that waits, once its holder has gone', async () => {
    const scene = sceneOf();
    const first = scene.run(scene.engine(), 'k', params, impatient);
    await calls.begun(1);
    const repeat = scene.run(scene.engine(), 'k', params, [5_000, 5_000]);
    await sleep(20);
    scene.database.pass(30_001);
    await calls.begun(2);
    calls.answer();
    calls.answer();
    expect(await repeat).toMatchObject({ kind: 'completed' });
    expect(await first).toMatchObject({ kind: 'pending' });
  });

  it('by the completer, those first whose leases ran out first, as many as it asks for', async () => {
    const events = watchEngine();
    const scene = sceneOf();
    for (const key of ['old', 'older', 'new']) {
      await scene.run(scene.engine(), key, params, impatient);
      if (key === 'old') scene.database.put('old', { locked_until: scene.database.now + 31_000 });
    }
    const completer = scene.engine();
    expect(await completer.takeOver(9)).toEqual([]);
    scene.database.pass(31_000);
    scene.database.put('new', { locked_until: scene.database.now + 1 });
    const [taken, ...more] = await completer.takeOver(1);
    expect(more).toEqual([]);
    expect(taken).toMatchObject({
      attempt: { ...owner('older'), params, windowMs: null, operation: { name: 'payment' } },
      point: 'funds_reserved',
      state: { payment_id: 'p' },
      epoch: 2,
      attempts: 2,
      mayBeSent: true,
      ageMs: 31_000,
    });
    expect((await completer.takeOver(9)).map(({ attempt }) => attempt.key)).toEqual(['old']);
    expect(events.at('taken_over').map(({ attempts }) => attempts)).toMatchObject([
      [{ epoch: 2, recoveryPoint: 'funds_reserved' }],
      [{ epoch: 2, recoveryPoint: 'funds_reserved' }],
    ]);
    expect(scene.database.row('older')?.locked_until).toBe(scene.database.now + 30_000);
    events.stop();

    const driven = taken && completer.drive(taken);
    for (let each = 0; each < 4; each += 1) calls.answer();
    expect(await driven).toMatchObject({ kind: 'completed' });
    expect(scene.database.row('older')?.epoch).toBe(2);
  });

  it('later, where nothing is known: its caller is told when, and whoever asks before that, too', async () => {
    const scene = sceneOf({ record: () => postpone('unknown') });
    const engine = scene.engine({ recoveryBackoffMs: 20_000, recoveryBackoffMaxMs: 20_000 });
    const first = scene.run(engine, 'k', params, patient);
    await calls.begun(1);
    calls.answer();
    // Its caller would wait on; nobody else is at work on it, so it need not.
    const { kind, retryAfterSeconds } = (await first) as { kind: string; retryAfterSeconds: number };
    expect(kind).toBe('pending');
    expect(retryAfterSeconds).toBeGreaterThanOrEqual(10);
    expect(retryAfterSeconds).toBeLessThanOrEqual(20);
    expect(await scene.run(engine, 'k')).toMatchObject({ kind: 'in_progress', retryAfterSeconds });
    expect(scene.database.row('k')).toMatchObject({ attempts: 1, may_be_sent: true });
  });

  it('not before a person has looked, where going on would be guessing', async () => {
    const scene = sceneOf({ record: () => ({ kind: 'park', reason: 'odd' }) });
    const engine = scene.engine();
    const first = scene.run(engine, 'k', params, patient);
    await calls.begun(1);
    calls.answer();
    expect(await first).toMatchObject({ kind: 'pending', retryAfterSeconds: 30 });
    expect(await scene.run(engine, 'k')).toMatchObject({ kind: 'in_progress', retryAfterSeconds: 30 });
    expect(scene.database.row('k')).toMatchObject({ parked_because: 'odd', locked_until: null });
    scene.database.pass(90_000);
    expect(await engine.takeOver(9)).toEqual([]);
  });

  it.each<[string, Decision, object]>([
    ['finished', finish, { kind: 'completed', answer: paid }],
    ['parked', { kind: 'park', reason: 'odd' }, { kind: 'pending', retryAfterSeconds: 30 }],
    ['cancelled', { kind: 'cancel' }, { kind: 'cancelled' }],
  ])('from where it stands, should a COMMIT be answered by silence: %s', async (_, decision, outcome) => {
    const scene = sceneOf({ record: () => decision });
    let commits = 0;
    scene.database.trouble = ({ name }) => {
      if (name !== 'commit') return undefined;
      commits += 1;
      // The first of the claim, and the first of the record.
      return commits === 1 || commits === 3 ? 'after' : undefined;
    };
    const end = scene.run(scene.engine(), 'k', params, patient);
    await calls.begun(1);
    expect(calls.helds[0]).toMatchObject({ epoch: 1, attempts: 1 });
    calls.answer();
    expect(await end).toMatchObject(outcome);
  });

  it('as a mistake, where what was reserved is refused, where a call throws, or a beginner is parked', async () => {
    const refusal = { code: 'account_not_found', detail: 'No.' };
    const refusing = sceneOf({ record: () => ({ kind: 'refuse', refusal }), call: () => Promise.resolve() });
    await expect(refusing.run(refusing.engine(), 'k', params, patient)).rejects.toThrow(/PS-105/);
    const gone = new Error('gone');
    const throwing = sceneOf({ call: () => Promise.reject(gone) });
    const events = watchEngine();
    await expect(throwing.run(throwing.engine(), 'k', params, patient)).rejects.toBe(gone);
    expect(events.at('answered')).toMatchObject([{ error: gone, attempts: [{ operation: 'payment' }] }]);
    events.stop();
    const parking = sceneOf({ started: () => ({ kind: 'park', reason: 'odd' }) });
    await expect(parking.run(parking.engine(), 'k')).rejects.toThrow(/^PS-106/);
  });

  describe('and may end at the very moment at which its caller is told that it has not', () => {
    const told = { kind: 'replayed', answer: paid } as const;

    it.each<[string, (scene: EngineScene) => void, object]>([
      ['it is finished', () => undefined, { kind: 'completed', answer: paid }],
      [
        'it is cancelled',
        ({ database }) => {
          database.put('k', { recovery_point: 'cancelled', response_status: null, response_body: null });
        },
        { kind: 'cancelled' },
      ],
      [
        'it is finished, and reaped',
        scene => {
          scene.database.put('k', null);
          scene.remembered.set('payment k', { params, answer: paid, finishedAt: new Date(0) });
        },
        told,
      ],
    ])('%s', async (_, happens, outcome) => {
      const scene: EngineScene = sceneOf({
        interim: async () => {
          calls.answer();
          await until(() => scene.database.row('k')?.recovery_point === 'finished');
          happens(scene);
          return null;
        },
      });
      expect(await scene.run(scene.engine(), 'k', params, impatient)).toMatchObject(outcome);
    });

    it('neither is a mistake', async () => {
      const scene = sceneOf({ interim: () => Promise.resolve(null) });
      await expect(scene.run(scene.engine(), 'k', params, impatient)).rejects.toThrow(/^PS-107/);
    });
  });

  describe('when its process stops', () => {
    it('it is waited for; its call is cut short, and its lease given back', async () => {
      const scene = sceneOf({
        call: (_, signal) =>
          new Promise(resolve => {
            signal.addEventListener('abort', resolve);
          }),
        record: () => postpone('not_sent'),
      });
      const engine = scene.engine();
      await scene.run(engine, 'k', params, impatient);
      await scene.run(engine, 'k', params, impatient);
      const began = performance.now();
      engine.beforeApplicationShutdown();
      await engine.onApplicationShutdown();
      expect(performance.now() - began).toBeGreaterThan(15);
      expect(scene.database.row('k')).toMatchObject({
        locked_until: scene.database.now,
        may_be_sent: false,
        duplicates: 1,
      });
    });

    it('nobody waits there any more, and nothing is taken over', async () => {
      const scene = sceneOf();
      const [engine, another] = [scene.engine(), scene.engine({ shutdownGraceMs: 0 })];
      await scene.run(engine, 'k', params, impatient);
      another.beforeApplicationShutdown();
      await sleep(10);
      const began = performance.now();
      const repeat = await scene.run(another, 'k', params, [0, 20_000]);
      expect(repeat).toMatchObject({ kind: 'in_progress' });
      expect(performance.now() - began).toBeLessThan(3_000);
      calls.answer();
      await engine.onApplicationShutdown();
    });
  });
});

async function until(isTrue: () => boolean): Promise<void> {
  for (let looks = 0; looks < 1_000 && !isTrue(); looks += 1) await sleep(2);
  expect(isTrue()).toBe(true);
}
