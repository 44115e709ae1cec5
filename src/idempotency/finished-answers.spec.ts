import { FinishedAnswers } from './finished-answers.js';
import { judgeEnded } from './judge-repeat.js';
import type { Attempt, Operation, Outcome } from './operation.js';

const at = new Date('2026-01-02T03:04:05.678Z');

const attemptOf = (key: string, members: Partial<Attempt> = {}): Attempt => ({
  id: 'mine',
  customerId: 'c',
  key,
  operation: { name: 'payment' } as Operation,
  params: { amount: 100 },
  fingerprint: Buffer.alloc(32, 1),
  windowMs: null,
  ...members,
});

const replayed = (body: string): Outcome & { kind: 'replayed' } => ({
  kind: 'replayed',
  answer: { status: 200, body },
  finishedAt: at,
  expiresAt: at,
});

describe('the answers in memory', () => {
  it('are what the key’s row would say, for its own customer and key', () => {
    const answers = new FinishedAnswers(100_000);
    const [first, repeat] = [attemptOf('k'), attemptOf('k', { id: 'later' })];
    expect(answers.find(repeat)).toBeUndefined();
    answers.keep(first, replayed('{"id":1}'));
    const row = answers.find(repeat);
    expect(row && judgeEnded(repeat, row)).toEqual(replayed('{"id":1}'));
    expect(row && judgeEnded(attemptOf('k', { fingerprint: Buffer.alloc(32, 2), params: {} }), row)).toEqual({
      kind: 'collision',
      differsIn: ['amount'],
      expiresAt: at,
    });
    expect(answers.find({ customerId: 'd', key: 'k' })).toBeUndefined();
    expect(answers.find({ customerId: 'c', key: 'l' })).toBeUndefined();
  });

  it('stay within their bound: the longest unasked goes first, and each costs more than its body', () => {
    const answers = new FinishedAnswers(2_000);
    const keep = (key: string, length: number) => {
      answers.keep(attemptOf(key), replayed('x'.repeat(length)));
    };
    const kept = () => ['1', '2', '3'].filter(key => answers.find({ customerId: 'c', key }));
    keep('1', 100);
    keep('2', 100);
    expect(kept()).toEqual(['1', '2']);
    keep('3', 100);
    expect(kept()).toEqual(['2', '3']);
    keep('1', 1_300);
    expect(kept()).toEqual(['1']);
  });

  it('are none where there is no room', () => {
    const answers = new FinishedAnswers(0);
    answers.keep(attemptOf('k'), replayed(''));
    expect(answers.find(attemptOf('k'))).toBeUndefined();
  });
});
