import fc from 'fast-check';
import { fingerprint, keyOf, keyToRemember, mayBeFingerprint, membersThatDiffer } from './fingerprint.js';
import type { Params } from './operation.js';

const value = fc.oneof(fc.string({ unit: 'binary' }), fc.maxSafeInteger(), fc.constant(null));
const params: fc.Arbitrary<Params> = fc.dictionary(fc.string(), value, { maxKeys: 6 });

const hex = (operation: string, members: Params) => fingerprint(operation, members).toString('hex');
const shuffled = (members: Params) =>
  fc
    .shuffledSubarray(Object.entries(members), { minLength: Object.keys(members).length })
    .map(entries => Object.fromEntries(entries));

describe('the fingerprint of a request', () => {
  /**
   * Computed elsewhere, with Python's hashlib, over canonical documents written by hand. They may never change:
   * rows of every earlier release are compared by them.
   */
  it.each<[string, string, Params, string]>([
    [
      '[1,"payment",{"amount":10000,"currency":"GBP","from":"alice","rail":"ledger","reference":null,"to":"sam"}]',
      'payment',
      { to: 'sam', from: 'alice', rail: 'ledger', amount: 10000, currency: 'GBP', reference: null },
      '946600eff874bb32249899904af0d8c5cb4f8927b86e8a630c4b1a3efb349e2a',
    ],
    [
      'with text that needs escapes, and text that must not have any',
      'payment',
      {
        to: 'b',
        from: 'a',
        rail: 'ledger',
        amount: 1,
        currency: 'JPY',
        reference: '£ "quoted" \\ \n 💷 é é',
      },
      '510684aa79d62f920a631624e43963269a3a0ac32da5fed65a08f5bf842753a6',
    ],
    [
      '[1,"refund",{"amount":100,"payment_id":"018f0000-0000-7000-8000-000000000000"}]',
      'refund',
      { payment_id: '018f0000-0000-7000-8000-000000000000', amount: 100 },
      'e6a479a94148fbba9700fddc12357fbd1f91a682fc1c648c4d234f55ef4514c4',
    ],
    ['[1,"payment",{}]', 'payment', {}, '416887ab77a11273509ec7b0138e229db967dcf2564d37eb5d420c819d2dd0c3'],
    [
      'with the member names of RFC 8785, section 3.2.3, sorted by UTF-16 code units',
      'sort',
      { '\u20ac': 5, '\r': 1, '\ufb33': 7, '1': 2, '\ud83d\ude00': 6, '\u0080': 3, '\u00f6': 4 },
      'b69925f16e2147b69a798b5aefb0b8b71a2635f9900589c6b07c98ccdb307280',
    ],
  ])('is what others compute: %s', (_, operation, members, expected) => {
    expect(hex(operation, members)).toBe(expected);
  });

  it('has 32 bytes, the same each time', () => {
    fc.assert(
      fc.property(fc.string(), params, (operation, members) => {
        expect(fingerprint(operation, members)).toHaveLength(32);
        expect(hex(operation, members)).toBe(hex(operation, structuredClone(members)));
      }),
    );
  });

  it('does not depend on the order of members, nor on 100 or 100.0 or 1e2', () => {
    fc.assert(
      fc.property(
        params.chain(members => fc.tuple(fc.constant(members), shuffled(members))),
        ([members, others]) => {
          expect(hex('payment', others)).toBe(hex('payment', members));
        },
      ),
    );
    const spellings = ['100', '100.0', '1e2', '1.0E+2'].map(
      text => JSON.parse(`{"amount":${text}}`) as Params,
    );
    expect(new Set(spellings.map(members => hex('payment', members))).size).toBe(1);
  });

  it('is another one when any member changes, comes or goes, or the operation does', () => {
    fc.assert(
      fc.property(params, fc.string(), value, fc.string(), (members, name, changed, operation) => {
        fc.pre(members[name] !== changed && operation !== 'payment');
        const others = Object.fromEntries([...Object.entries(members), [name, changed]]);
        expect(hex('payment', others)).not.toBe(hex('payment', members));
        expect(hex(operation, members)).not.toBe(hex('payment', members));
      }),
    );
  });

  it('tells a number from the string that looks like it, and null from nothing', () => {
    expect(hex('payment', { amount: '100' })).not.toBe(hex('payment', { amount: 100 }));
    expect(hex('payment', { reference: null })).not.toBe(hex('payment', {}));
    expect(hex('payment', { reference: null })).not.toBe(hex('payment', { reference: 'null' }));
  });

  it('does not take one Unicode form for another: what was sent is what counts (S09)', () => {
    expect(hex('payment', { reference: '\u00e9' })).not.toBe(hex('payment', { reference: 'e\u0301' }));
  });

  it('cannot be met by moving characters from one member, or from the operation, to the next (S08)', () => {
    const names = ['from', 'to', 'currency', 'rail', 'reference'];
    fc.assert(
      fc.property(
        fc.string({ minLength: 1 }),
        fc.nat(),
        fc.nat(),
        fc.subarray(names, { minLength: 2, maxLength: 2 }),
        (text, i, j, [one = '', two = '']) => {
          const [cut, other] = [i % (text.length + 1), j % (text.length + 1)];
          fc.pre(cut !== other);
          const parted = (at: number) => ({ [one]: text.slice(0, at), [two]: text.slice(at) });
          expect(hex('payment', parted(cut))).not.toBe(hex('payment', parted(other)));
          expect(hex(text.slice(0, cut), { to: text.slice(cut) })).not.toBe(
            hex(text.slice(0, other), { to: text.slice(other) }),
          );
          expect(hex('payment', { [text]: 'x' })).not.toBe(
            hex('payment', { [text.slice(0, -1)]: text.slice(-1) + 'x' }),
          );
        },
      ),
    );
  });
});

describe('the members that differ', () => {
  it('are none exactly when the fingerprints agree', () => {
    fc.assert(
      fc.property(params, params, (first, second) => {
        expect(membersThatDiffer(first, second).length === 0).toBe(hex('x', first) === hex('x', second));
        expect(membersThatDiffer(first, first)).toEqual([]);
      }),
    );
  });

  it('are exactly those that were changed, left out or added, in the order of their names', () => {
    const first = { from: 'alice', to: 'sam', amount: 100, reference: null };
    fc.assert(
      fc.property(fc.subarray(Object.keys(first)), fc.boolean(), (names, isLeftOut) => {
        const second = Object.fromEntries(
          Object.entries(first).flatMap(([name, was]) => {
            if (!names.includes(name)) return [[name, was]];
            return isLeftOut ? [] : [[name, 'another']];
          }),
        );
        expect(membersThatDiffer(first, second)).toEqual([...names].sort());
        expect(membersThatDiffer(second, first)).toEqual([...names].sort());
      }),
    );
  });

  it('are named, and their values are not', () => {
    fc.assert(
      fc.property(params, params, (first, second) => {
        const names = new Set([...Object.keys(first), ...Object.keys(second)]);
        for (const name of membersThatDiffer(first, second)) expect(names).toContain(name);
      }),
    );
  });
});

describe('a fingerprint as a key', () => {
  it('is told from other keys by how it begins', () => {
    const key = keyOf(Buffer.from([255, 254, 253]));
    expect(key).toBe('fp___79');
    expect(mayBeFingerprint(key)).toBe(true);
    expect(mayBeFingerprint('key-fp_')).toBe(false);
  });

  it('is remembered with the time at which its window opened; a caller’s own key as it is', () => {
    const opened = new Date(1_700_000_000_123);
    expect(keyToRemember({ key: 'k', windowMs: 60_000 }, opened)).toBe('k_1700000000123');
    expect(keyToRemember({ key: 'k', windowMs: null }, opened)).toBe('k');
  });
});
