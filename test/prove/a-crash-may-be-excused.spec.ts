import {
  elsewhereThan,
  excuseOf,
  thatHadComeBack,
  type Change,
} from '../../lab/prove/acts/kill-points/excuse.js';
import { places } from '../../lab/prove/acts/kill-points/places.js';
import type { RecoveryPoint } from '../../lab/prove/database-witness.js';

/** What was written: each `key attempt point`, in a transaction and a millisecond of its own. */
function wrote(...lines: string[]): Change[] {
  return lines.map((line, index) => {
    const [key = '', attempt = '', point = ''] = line.split(' ');
    return { key, attempt, point: point as RecoveryPoint, transaction: String(index), at: index };
  });
}

/** How many attempts are elsewhere than they should be, and what excuses that. */
function verdictAt(id: string, met: readonly string[], changes: readonly Change[]) {
  const place = places.find(each => each.id === id);
  if (!place?.leaves) throw new Error(`${id} is no place that leaves anything`);
  const wrong = elsewhereThan(place.leaves, met, changes);
  return { wrong: wrong.length, excuse: excuseOf({ place }, { met, wrong, changes }) };
}

describe('a process that died has left its keys', () => {
  it('where they should be', () => {
    const changes = wrote('k1 a1 funds_reserved', 'k1 a1 finished');
    expect(verdictAt('K8 declined', ['a1'], changes)).toEqual({ wrong: 0, excuse: undefined });
  });

  it('elsewhere, and nothing excuses that', () => {
    const changes = wrote('k1 a1 funds_reserved');
    expect(verdictAt('K8 declined', ['a1'], changes)).toEqual({ wrong: 1, excuse: undefined });
    expect(verdictAt('K8 declined', ['a1'], [])).toEqual({ wrong: 1, excuse: undefined });
  });

  it('with itself, since it had no processor for longer than a lease', () => {
    const changes = wrote('k1 a1 funds_reserved', 'k1 a2 funds_reserved', 'k1 a2 finished');
    expect(verdictAt('K8 declined', ['a1', 'a2'], changes)).toEqual({
      wrong: 1,
      excuse: 'its lease had run out',
    });
  });

  it('with itself, and one of them elsewhere: that it was slow for the one does not excuse the other', () => {
    const changes = wrote('k1 a1 funds_reserved', 'k2 b1 funds_reserved', 'k1 a2 finished');
    expect(verdictAt('K8 declined', ['a1', 'a2', 'b1'], changes)).toEqual({ wrong: 2, excuse: undefined });
    // Nor does what it had taken over before that.
    const before = wrote('k1 a0 funds_reserved', 'k1 a1 funds_reserved');
    expect(verdictAt('K8 declined', ['a1'], before)).toEqual({ wrong: 1, excuse: undefined });
  });

  it('with itself, and what it took over was finished at once: the bank had done it meanwhile (seed 6988036)', () => {
    const finished = ['k1 a2 funds_reserved', 'k1 a2 finished'];
    const changes = wrote('k1 a1 funds_reserved', ...finished);
    expect(verdictAt('K7 T2 after', ['a1', 'a2'], changes)).toEqual({
      wrong: 2,
      excuse: 'its lease had run out',
    });
    // Where nothing was taken over, or another payment was, none may be further than the place.
    expect(verdictAt('K7 T2 after', ['a2'], wrote(...finished))).toEqual({ wrong: 1, excuse: undefined });
    const beside = wrote('k2 b1 funds_reserved', 'k2 b2 transfer_sent', ...finished);
    expect(verdictAt('K7 T2 after', ['b1', 'b2', 'a2'], beside)).toEqual({ wrong: 2, excuse: undefined });
  });

  it('given back, and so it died without them', () => {
    const changes = wrote('k1 a1 funds_reserved', 'k1 a1 funds_reserved');
    expect(verdictAt('K6 T3', ['a1'], changes)).toEqual({
      wrong: 1,
      excuse: 'it had given the payment back',
    });
    // An order that timed out is given back at the point where it is held, too.
    expect(verdictAt('K4p', ['a1'], changes)).toEqual({ wrong: 0, excuse: 'it had given the payment back' });
    expect(verdictAt('K2p', ['a1'], changes)).toEqual({ wrong: 0, excuse: undefined });
  });

  it('before the call that was meant: the bank holds another question of its', () => {
    const changes = wrote('k1 a1 funds_reserved');
    expect(verdictAt('K3q', ['a1'], changes)).toEqual({
      wrong: 1,
      excuse: 'it was met before it came there',
    });
    // Who kills itself at an event of that very call was there.
    expect(verdictAt('K2q', ['a1'], changes)).toEqual({ wrong: 1, excuse: undefined });
  });
});

describe('a process that died before its first transaction was committed has left nothing', () => {
  const inOneTransaction = (changes: Change[]) => changes.map(change => ({ ...change, transaction: '7' }));

  it('or it was there before, has lost its payment to somebody else, and had come back to ask', () => {
    const changes = wrote(
      'k1 a1 started',
      'k1 a1 funds_reserved',
      'k2 b1 funds_reserved',
      'k1 heir funds_reserved',
    );
    expect(thatHadComeBack(['a1', 'b1'], changes, 4)).toEqual(['a1']);
    expect(thatHadComeBack(['a1', 'b1'], inOneTransaction(changes), 4)).toEqual(['a1']);
  });

  it('or it was there before, and had brought its payment further, or given it back', () => {
    const changes = wrote('k1 a1 funds_reserved', 'k1 a1 transfer_sent', 'k2 b1 started', 'k2 b1 started');
    expect(thatHadComeBack(['a1', 'b1'], changes, 9)).toEqual(['a1', 'b1']);
  });

  it('but what was carried out after it died is its own, whoever has taken it over since', () => {
    const changes = inOneTransaction(wrote('k1 a1 started', 'k1 a1 funds_reserved'));
    expect(thatHadComeBack(['a1'], changes, 9)).toEqual([]);
    const since = [...changes, ...wrote('k1 heir funds_reserved').map(change => ({ ...change, at: 5 }))];
    expect(thatHadComeBack(['a1'], since, 5)).toEqual([]);
    expect(thatHadComeBack(['a1'], since, 6)).toEqual(['a1']);
    // What others did before it is no excuse.
    expect(thatHadComeBack(['a1'], [...wrote('k1 older started'), ...changes], 9)).toEqual([]);
    expect(thatHadComeBack(['a1'], [], 9)).toEqual([]);
  });
});
