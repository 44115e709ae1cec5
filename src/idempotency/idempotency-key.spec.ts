import fc from 'fast-check';
import { checkedKey, InvalidKey, readIdempotencyKey } from './idempotency-key.js';

const visible = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index)).filter(
  c => c !== ',',
);
const keyOf = (maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...visible), minLength: 1, maxLength });

/** As RFC 9651 spells a string. */
const quoted = (key: string) => `"${key.replace(/["\\]/g, '\\$&')}"`;
const read = (...values: string[]) => readIdempotencyKey(values.flatMap(value => ['Idempotency-Key', value]));

/** What a header can carry at all: one byte, one character. */
const bytes = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code));
const invisible = bytes.filter(c => !visible.includes(c));

describe('the idempotency key', () => {
  it('is one key in two spellings: bare, and as a string of RFC 9651', () => {
    fc.assert(
      fc.property(keyOf(255), key => {
        expect(read(quoted(key))).toBe(key);
        // A bare key that begins with a quotation mark would be the other spelling.
        if (!key.startsWith('"')) expect(read(key)).toBe(key);
      }),
    );
  });

  it('may have blanks around it, which HTTP lets stand there', () => {
    const blanks = fc.stringMatching(/^[ \t]{0,3}$/);
    fc.assert(
      fc.property(keyOf(40), blanks, blanks, (key, before, after) => {
        fc.pre(!key.startsWith('"'));
        expect(read(before + key + after)).toBe(key);
      }),
    );
  });

  it('is found whatever the letter case of the header, and only under its own name', () => {
    fc.assert(
      fc.property(fc.mixedCase(fc.constant('idempotency-key')), keyOf(20), (name, key) => {
        expect(readIdempotencyKey(['Host', 'x', name, quoted(key), 'X', 'y'])).toBe(key);
      }),
    );
    expect(
      readIdempotencyKey(['X-Idempotency-Key', 'a', 'Idempotency-Keys', 'b', 'idempotency_key', 'c']),
    ).toBeNull();
    // A value that looks like the name is not the name.
    expect(readIdempotencyKey(['X', 'Idempotency-Key', 'Y', 'z'])).toBeNull();
  });

  it('is null when there is none', () => {
    expect(readIdempotencyKey([])).toBeNull();
  });

  it('has 1 to 255 characters', () => {
    expect(read('k'.repeat(255))).toBe('k'.repeat(255));
    expect(read(quoted('k'.repeat(255)))).toBe('k'.repeat(255));
    for (const value of ['', ' ', '\t', '""', 'k'.repeat(256), quoted('k'.repeat(256))]) {
      expect(() => read(value)).toThrow(InvalidKey);
    }
    expect(() => read('')).toThrow('It is empty.');
  });

  it('is refused, and never repaired, when anything in it is no visible ASCII, or a comma', () => {
    fc.assert(
      fc.property(keyOf(20), keyOf(20), (before, after) => {
        for (const c of invisible) {
          expect(() => read(`x${before}${c}${after}`)).toThrow(InvalidKey);
          expect(() => read(quoted(before + c + after))).toThrow(InvalidKey);
          expect(() => checkedKey(before + c + after)).toThrow(InvalidKey);
        }
      }),
      { numRuns: 5 },
    );
  });

  it.each(invisible.filter(c => c !== ' ' && c !== '\t').map(c => [c.charCodeAt(0).toString(16), c]))(
    'is refused also when %s stands at its edge, which is not the blank that HTTP drops',
    (_, c) => {
      expect(() => read(`${c}key`)).toThrow(InvalidKey);
      expect(() => read(`key${c}`)).toThrow(InvalidKey);
      expect(() => read(`${c}"key"`)).toThrow(InvalidKey);
      expect(() => read(`"key"${c}`)).toThrow(InvalidKey);
    },
  );

  it.each([
    '"',
    '"a',
    'a"b" c',
    '"a"b',
    '"a" b',
    '"a";x',
    '"a";x=1',
    '"a", "b"',
    '"a\\b"',
    '"a\'',
    '"\\"',
    '"a""b"',
  ])('is refused when it begins like a string and is none: %s', value => {
    expect(() => read(value)).toThrow(InvalidKey);
  });

  it('is taken bare with what another spelling would mean something else: a number, a token, a boolean, bytes', () => {
    for (const key of ['1', '-1.5', 'token', '?1', ':YQ==:', '@1', '(a)', "'a'", 'a;b=1'])
      expect(read(key)).toBe(key);
  });

  it('is refused when it was sent twice, in any spelling: two lines are never joined (S10)', () => {
    fc.assert(
      fc.property(keyOf(20), keyOf(20), (one, two) => {
        expect(() => read(quoted(one), quoted(two))).toThrow(InvalidKey);
        expect(() => read(quoted(one), quoted(one))).toThrow(InvalidKey);
        expect(() => readIdempotencyKey(['Idempotency-Key', one, 'X', 'y', 'IDEMPOTENCY-KEY', two])).toThrow(
          InvalidKey,
        );
        expect(() => read(quoted(one), '')).toThrow(InvalidKey);
      }),
    );
  });

  it('gives a key or says what is wrong, without repeating it, and never fails in another way', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...bytes), maxLength: 300 }), value => {
        try {
          expect(read(value)).toMatch(/^[!-+\--~]{1,255}$/);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidKey);
          if (value.length > 10) expect((error as Error).message).not.toContain(value);
        }
      }),
    );
  });
});
