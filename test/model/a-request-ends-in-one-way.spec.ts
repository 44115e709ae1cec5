import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Unavailable } from '../../src/database/failures.js';
import { StopFull } from '../../src/database/bus.js';
import type { EngineEvent } from '../../src/idempotency/events.js';
import { customerId, EngineScene, finish, owner, paid, reserve } from './engine-scene.js';

/** The engine as it is over the model's database: each way in which a request without a call may end. */
describe('a request ends in one way, and so does each repeat of it', () => {
  const expiry = (scene: EngineScene, ms = 120_000) => new Date(scene.database.now + ms);

  it('carried out once: the answer is stored with its key, and told', async () => {
    const scene = new EngineScene();
    const engine = scene.engine();
    const expiresAt = expiry(scene);
    expect(await engine.run(scene.operation, owner('k'), { params: { amount: 100 } })).toEqual({
      key: 'k',
      outcome: { kind: 'completed', answer: paid, expiresAt },
    });
    expect(await engine.lookAt(owner('k'))).toMatchObject({
      customerId,
      key: 'k',
      operation: 'payment',
      params: { amount: 100 },
      recoveryPoint: 'finished',
      windowMs: null,
      epoch: 1,
      attempts: 1,
      mayBeSent: false,
      leaseLeftMs: null,
      parkedBecause: null,
      answer: paid,
      finishedAt: new Date(scene.database.now),
      expiresAt,
      duplicates: 0,
      lastDuplicateAt: null,
    });
    expect(scene.database.row('k')?.fingerprint_version).toBe(1);
    expect(await engine.lookAt(owner('other'))).toBeUndefined();
  });

  it('a repeat is told the same, and counted; another request under the key is told what differs', async () => {
    const scene = new EngineScene();
    const [engine, another] = [scene.engine(), scene.engine()];
    const [finishedAt, expiresAt] = [new Date(scene.database.now), expiry(scene)];
    await scene.run(engine, 'k');
    scene.database.pass(500);
    const replayed = { kind: 'replayed', answer: paid, finishedAt, expiresAt };
    expect(await scene.run(another, 'k')).toEqual(replayed);
    expect(await scene.run(another, 'k')).toEqual(replayed);
    const differs = { kind: 'collision', differsIn: ['amount'], expiresAt };
    expect(await scene.run(another, 'k', { amount: 1 })).toEqual(differs);
    expect(await scene.run(engine, 'k', { amount: 1 })).toEqual(differs);
    const refund = await engine.run(scene.operationOf('refund'), owner('k'), { params: { amount: 100 } });
    expect(refund.outcome).toMatchObject({ kind: 'collision', differsIn: ['operation'] });
    expect(scene.decided).toHaveLength(1);
    expect((await another.lookAt(owner('k')))?.duplicates).toBe(3);
    expect(await engine.lookAt(owner('k'))).toMatchObject({
      duplicates: 5,
      lastDuplicateAt: new Date(scene.database.now),
    });
  });

  it('no statement is sent that has nothing to do', async () => {
    const refusal = { code: 'account_not_found', detail: 'No.' };
    const scene = new EngineScene({
      started: ({ attempt }) => (attempt.key === 'no' ? { kind: 'refuse', refusal } : finish),
    });
    const sentFor = async (key: string | null) => {
      scene.database.sent.length = 0;
      await scene.run(scene.engine(), key);
      return scene.database.sent;
    };
    const [begin, end] = [['begin', 'beginning'], ['commit']];
    expect(await sentFor('k')).toEqual([...begin, 'claim_keys', 'record_answers', ...end]);
    expect(await sentFor('k')).toEqual([...begin, 'claim_keys', 'read_keys', ...end]);
    expect(await sentFor('no')).toEqual([...begin, 'claim_keys', 'take_back_claims', ...end]);
    expect(await sentFor(null)).toEqual([...begin, 'close_windows', 'claim_keys', 'record_answers', ...end]);
  });

  it('what is known to be finished is told from memory', async () => {
    const scene = new EngineScene();
    const engine = scene.engine();
    await scene.run(engine, 'k');
    await scene.run(engine, 'k');
    scene.database.sent.length = 0;
    expect(await scene.run(engine, 'k')).toMatchObject({ kind: 'replayed' });
    expect(scene.database.sent).toEqual([]);
  });

  it('of many at once, one does it, and all are told the same', async () => {
    const scene = new EngineScene();
    const engines = [scene.engine(), scene.engine()];
    const outcomes = await Promise.all(
      engines.flatMap(engine => Array.from({ length: 10 }, () => scene.run(engine, 'k'))),
    );
    expect(outcomes.map(({ kind }) => kind).sort()).toEqual([
      'completed',
      ...Array<string>(19).fill('replayed'),
    ]);
    expect(scene.decided).toHaveLength(1);
  });

  it('different keys share a transaction and no answer', async () => {
    const answerTo = (key: string) => ({ status: 200, body: key }) as const;
    const scene = new EngineScene({
      started: ({ attempt }) => ({ kind: 'finish', answer: answerTo(attempt.key) }),
    });
    const engine = scene.engine();
    const keys = ['b', 'a', 'c'];
    const outcomes = await Promise.all(keys.map(key => scene.run(engine, key)));
    expect(outcomes).toMatchObject(keys.map(key => ({ kind: 'completed', answer: answerTo(key) })));
    expect(scene.database.sent.filter(name => name === 'commit')).toHaveLength(1);
  });

  it('refused: nothing is left, for those who asked together and for whoever asks next', async () => {
    const refusal = { code: 'account_not_found', detail: 'No.' };
    let isKnown = false;
    const scene = new EngineScene({ started: () => (isKnown ? finish : { kind: 'refuse', refusal }) });
    const engine = scene.engine();
    const refused = { kind: 'refused', refusal };
    expect(await Promise.all([scene.run(engine, 'k'), scene.run(engine, 'k')])).toEqual([refused, refused]);
    expect(scene.decided).toHaveLength(1);
    // Two that differ share no answer: the second claims the key for itself.
    const both = [scene.run(engine, 'k'), scene.run(engine, 'k', { amount: 1 })];
    expect(await Promise.all(both)).toEqual([refused, refused]);
    expect(scene.decided).toHaveLength(3);
    expect(scene.database.row('k')).toBeUndefined();
    isKnown = true;
    expect(await scene.run(engine, 'k')).toMatchObject({ kind: 'completed' });
  });

  it('refused for its own reason: equal requests under different keys share no answer', async () => {
    const refusalTo = (key: string) => ({ code: 'account_not_found', detail: key });
    const scene = new EngineScene({
      started: ({ attempt }) => ({ kind: 'refuse', refusal: refusalTo(attempt.key) }),
    });
    const engine = scene.engine();
    const outcomes = await Promise.all(['a', 'b', 'b'].map(key => scene.run(engine, key)));
    expect(outcomes).toEqual(['a', 'b', 'b'].map(key => ({ kind: 'refused', refusal: refusalTo(key) })));
  });

  it('without a key: recognised by what it asks for, for as long as its window is open', async () => {
    const scene = new EngineScene();
    const engine = scene.engine();
    const first = await engine.run(scene.operation, { customerId, key: null }, { params: { amount: 100 } });
    expect(first.key).toMatch(/^fp_/);
    expect(first.outcome).toMatchObject({ kind: 'completed', expiresAt: expiry(scene, 60_000) });
    expect(await scene.run(engine, null)).toMatchObject({ kind: 'replayed' });
    expect(await scene.run(engine, null, { amount: 1 })).toMatchObject({ kind: 'completed' });
    expect((await engine.lookAt(owner(first.key)))?.windowMs).toBe(60_000);
    scene.database.pass(60_000);
    expect(await scene.run(engine, null)).toMatchObject({ kind: 'completed' });
    expect(scene.decided).toHaveLength(3);
  });

  describe('when its key was reaped, it is told what was done under it', () => {
    const finishedAt = new Date(Date.UTC(2025, 0, 1));
    const expiresAt = new Date(finishedAt.getTime() + 120_000);
    const answer = { status: 402, body: '{"old":true}' } as const;
    const recalled = { params: { amount: 100 }, answer, finishedAt };
    const violation = (name: string) =>
      Object.assign(new Error('duplicate'), { code: '23505', constraint: `${name}s_remember_their_key` });

    it.each(['payment', 'refund'])('as the constraint of a %s says', async name => {
      const scene = new EngineScene();
      const engine = scene.engine();
      scene.remembered.set(`${name} old`, recalled);
      scene.complaint = attempts => (attempts.some(({ key }) => key === 'old') ? violation(name) : undefined);
      const [old, fresh] = await Promise.all([scene.run(engine, 'old'), scene.run(engine, 'new')]);
      expect(old).toEqual(
        name === 'payment'
          ? { kind: 'replayed', answer, finishedAt, expiresAt }
          : { kind: 'collision', differsIn: ['operation'], expiresAt },
      );
      expect(fresh).toMatchObject({ kind: 'completed' });
      expect(scene.database.row('old')).toBeUndefined();
    });

    it('also where it would be refused today', async () => {
      const refusal = { code: 'account_not_found', detail: 'No.' };
      const scene = new EngineScene({ started: () => ({ kind: 'refuse', refusal }) });
      const engine = scene.engine();
      scene.remembered.set('payment old', recalled);
      const three = [scene.run(engine, 'new'), scene.run(engine, 'old'), scene.run(engine, 'old', {})];
      expect(await Promise.all(three)).toEqual([
        { kind: 'refused', refusal },
        { kind: 'replayed', answer, finishedAt, expiresAt },
        { kind: 'collision', differsIn: ['amount'], expiresAt },
      ]);
    });

    it('and whoever looks is shown it', async () => {
      const scene = new EngineScene();
      scene.remembered.set('payment old', recalled);
      expect(await scene.engine().remembered(owner('old'))).toMatchObject({
        ...recalled,
        operation: 'payment',
        expiresAt,
      });
      expect(await scene.engine().remembered(owner('new'))).toBeNull();
    });

    it('and the error it is, where nothing is remembered or the memory cannot be read', async () => {
      const scene = new EngineScene();
      scene.complaint = () => violation('payment');
      await expect(scene.run(scene.engine(), 'k')).rejects.toThrow('duplicate');
      scene.complaint = () => Object.assign(new Error('other'), { code: '23505', constraint: 'other' });
      await expect(scene.run(scene.engine(), 'k')).rejects.toThrow('other');
      scene.complaint = () => violation('payment');
      let begun = 0;
      scene.database.trouble = ({ name }) => (name === 'begin' && (begun += 1) > 1 ? 'before' : undefined);
      await expect(scene.run(scene.engine(), 'k')).rejects.toThrow(Unavailable);
    });
  });

  describe('when something goes wrong', () => {
    it('a lost connection is repeated, so many times, and then the database is said to be away', async () => {
      const scene = new EngineScene();
      let times = 2;
      scene.database.trouble = ({ name }) =>
        name === 'claim_keys' && (times -= 1) >= 0 ? 'before' : undefined;
      expect(await scene.run(scene.engine(), 'k')).toMatchObject({ kind: 'completed' });
      times = 3;
      await expect(scene.run(scene.engine(), 'l')).rejects.toThrow(Unavailable);
      expect(times).toBe(0);
      expect(scene.database.row('l')).toBeUndefined();
    });

    it('a COMMIT that is answered by silence is known by its row: it is the first answer, not a repeat', async () => {
      const scene = new EngineScene();
      let times = 1;
      scene.database.trouble = ({ name }) => (name === 'commit' && (times -= 1) >= 0 ? 'after' : undefined);
      expect(await scene.run(scene.engine(), 'k')).toMatchObject({ kind: 'completed', answer: paid });
      expect(scene.decided).toHaveLength(1);
    });

    it('a mistake in one decision is its own: the others of its transaction are carried out', async () => {
      const wrong = new Error('wrong');
      const scene = new EngineScene({
        started: ({ attempt }) => {
          if (attempt.key === 'bad') throw wrong;
          return finish;
        },
      });
      const engine = scene.engine();
      const ends = await Promise.allSettled(['a', 'b', 'bad', 'c', 'd'].map(key => scene.run(engine, key)));
      expect(ends.map(({ status }) => status)).toEqual([
        ...['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
      ]);
      expect(ends[2]).toMatchObject({ reason: { name: 'DecisionFailed', cause: wrong } });
      expect(scene.database.row('bad')).toBeUndefined();
    });

    it('more than may be under way are turned away, but never a repeat', async () => {
      let letGo = (): void => undefined;
      const call = () => new Promise<void>(resolve => (letGo = resolve));
      const scene = new EngineScene({ call });
      const engine = scene.engine({ inFlightMax: 1 });
      await scene.run(engine, 'k');
      await expect(scene.run(engine, 'l')).rejects.toThrow(StopFull);
      expect(await scene.run(engine, 'k')).toMatchObject({ kind: 'in_progress' });
      letGo();
      await engine.onApplicationShutdown();
      expect(scene.database.row('k')?.recovery_point).toBe('finished');
      expect(scene.database.row('l')).toBeUndefined();
    });

    it('what reaches nobody outside is never turned away', async () => {
      const scene = new EngineScene({
        reachesOut: false,
        started: ({ attempt }) => (attempt.key === 'k' ? reserve : finish),
        call: () => new Promise(resolve => setTimeout(resolve, 20)),
      });
      const engine = scene.engine({ inFlightMax: 1 });
      await scene.run(engine, 'k');
      expect(await scene.run(engine, 'l')).toMatchObject({ kind: 'completed' });
      await engine.onApplicationShutdown();
    });
  });

  it('each step of it is said while it happens', async () => {
    const seen: EngineEvent[] = [];
    const listener = (event: unknown) => seen.push(event as EngineEvent);
    const scene = new EngineScene();
    subscribe('paysam.engine', listener);
    let times = 1;
    scene.database.trouble = ({ name }) =>
      name === 'claim_keys' && (times -= 1) >= 0 ? 'before' : undefined;
    try {
      const engine = scene.engine();
      await Promise.all([scene.run(engine, 'k'), scene.run(engine, 'k')]);
    } finally {
      unsubscribe('paysam.engine', listener);
    }
    expect(seen.map(({ point, batchSize }) => `${point} ${batchSize}`)).toEqual([
      'boarding 2',
      'batch_repeated 2',
      ...['boarding 2', 'keys_claimed 2', 'books_opened 2', 'outcomes_recorded 2', 'committed 2'],
      ...['answered 1', 'answered 1'],
    ]);
    expect(seen.slice(-2).map(({ outcome }) => outcome)).toEqual(['completed', 'replayed']);
    expect(seen[1]?.error).toBeInstanceOf(Error);
  });
});
