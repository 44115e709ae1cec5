import fc from 'fast-check';
import type { JsonValue } from './json-value.js';
import { JsonRefused, readJson } from './strict-json.js';

const depthMax = 32;
const read = (text: string) => readJson(Buffer.from(text), depthMax);

/** @returns `malformed` or `ambiguous`; `null` if it was taken */
function refusal(bytes: Buffer | string): string | null {
  try {
    readJson(Buffer.from(bytes as string), depthMax);
    return null;
  } catch (error) {
    if (!(error instanceof JsonRefused)) throw error;
    expect(error.message).not.toBe('');
    return error.kind;
  }
}

/** Text as it may be stored: no NUL, no half of a surrogate pair. */
const text = fc.string({ unit: 'binary' }).filter(each => !each.includes('\0'));
const name = text.filter(each => each !== '__proto__');

/** Documents that everybody reads in one way: safe integers, short fractions, each name once. */
const { value } = fc.letrec<{ value: JsonValue }>(tie => ({
  value: fc.oneof(
    { maxDepth: 6, depthIdentifier: 'json' },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger(),
    fc
      .tuple(fc.integer({ min: -999_999, max: 999_999 }), fc.integer({ min: -12, max: 9 }))
      .map(([digits, exponent]) => Number(`${digits}e${exponent}`)),
    text,
    fc.array(tie('value'), { maxLength: 4, depthIdentifier: 'json' }),
    fc.dictionary(name, tie('value'), { maxKeys: 4, depthIdentifier: 'json' }) as fc.Arbitrary<JsonValue>,
  ),
}));

/** Every character as an escape: another spelling of the same string. */
const escaped = (string: string) =>
  `"${Array.from({ length: string.length }, (_, at) => `\\u${string.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`;

/** Wraps a document in others, so that what is wrong with it is wrong further down. */
const wrapped = (inner: string) =>
  fc.array(fc.constantFrom('[', '[1,', '{"a":', '{"x":{"y":[],"a:b":"\\":\\\\"},"z":'), { maxLength: 8 }).map(
    opens =>
      opens.join('') +
      inner +
      opens
        .map(open => (open.startsWith('[') ? ']' : '}'))
        .reverse()
        .join(''),
  );

describe('a document that everybody reads in one way', () => {
  it('is read as JSON.parse reads it, whatever its white space and escapes', () => {
    fc.assert(
      fc.property(value, fc.constantFrom(0, 1, '\t', '\n \r'), (document, space) => {
        const plain = JSON.stringify(
          document,
          null,
          typeof space === 'string' ? space.replace(/[^\t ]/g, '') : space,
        );
        expect(read(plain)).toEqual(JSON.parse(plain));
        const escapes = plain.replace(
          /[\u0080-\uffff]/g,
          c => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
        );
        expect(read(escapes)).toEqual(JSON.parse(plain));
      }),
      { numRuns: 500 },
    );
  });

  it('may have names and strings that look like structure, numbers or duplicates', () => {
    const documents = [
      '{"a":"{\\"a\\":1,\\"a\\":2}"}',
      '{":":":","\\"":"\\"","12345678901234567890":"1e999"}',
      '["9007199254740993", "\\\\", "\\\\\\""]',
      '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}',
    ];
    for (const document of documents) expect(read(document)).toEqual(JSON.parse(document));
  });

  it('may begin with a byte-order mark, and hold one as a character', () => {
    fc.assert(
      fc.property(value, document => {
        const plain = JSON.stringify(document);
        expect(read(`\ufeff${plain}`)).toEqual(read(plain));
      }),
    );
    expect(read('"\ufeff"')).toBe('\ufeff');
    expect(refusal('\ufeff\ufeff{}')).toBe('malformed');
    expect(refusal('{\ufeff}')).toBe('malformed');
  });

  it('may nest to the limit', () => {
    expect(refusal('['.repeat(32) + ']'.repeat(32))).toBeNull();
    expect(refusal('{"a":'.repeat(32) + '1' + '}'.repeat(32))).toBeNull();
  });

  it('may have whole numbers as large as a double counts', () => {
    for (const number of [
      '9007199254740991',
      '-9007199254740991',
      '0',
      '-0',
      '1e2',
      '100.0',
      '0.1',
      '1E-7',
      '123456789012345e0',
    ]) {
      expect(read(number)).toBe(Number(number));
    }
  });
});

describe('a document that two readers could read in two ways is refused', () => {
  it('one that names a member twice, at any depth, in any spelling, whatever the values', () => {
    fc.assert(
      fc.property(
        fc
          .tuple(name, value, value, fc.boolean(), fc.dictionary(name, value, { maxKeys: 3 }))
          .chain(([twice, one, two, isEscaped, others]) => {
            const members = Object.entries(others)
              .filter(([each]) => each !== twice)
              .map(([each, member]) => `${JSON.stringify(each)}:${JSON.stringify(member)}`);
            const first = `${JSON.stringify(twice)}:${JSON.stringify(one)}`;
            const second = `${isEscaped ? escaped(twice) : JSON.stringify(twice)} :${JSON.stringify(two)}`;
            return wrapped(`{${[first, ...members, second].join(',')}}`);
          }),
        document => {
          expect(() => JSON.parse(document) as unknown).not.toThrow();
          expect(refusal(document)).toBe('ambiguous');
        },
      ),
      { numRuns: 500 },
    );
  });

  it('one that spells __proto__ as a name, plainly or not', () => {
    for (const each of ['{"__proto__":{}}', '[{"a":{"\\u005f_proto__":1}}]'])
      expect(refusal(each)).toBe('ambiguous');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  it('one with a whole number that a double cannot count', () => {
    fc.assert(
      fc.property(
        fc
          .bigInt({ min: 9_007_199_254_740_992n, max: 10n ** 40n })
          .chain(number => wrapped(String(number % 2n === 0n ? number : -number))),
        document => {
          expect(refusal(document)).toBe('ambiguous');
        },
      ),
    );
  });

  it('one with any number that a double would change: what is taken is what was written', () => {
    const digits = fc.stringMatching(/^(0|[1-9]\d{0,20})$/);
    const numeral = fc
      .tuple(
        fc.constantFrom('', '-'),
        digits,
        fc.option(fc.stringMatching(/^\d{1,20}$/)),
        fc.option(fc.integer({ min: -400, max: 400 })),
        fc.constantFrom('e', 'E', 'e+'),
      )
      .map(([sign, whole, fraction, exponent, e]) =>
        [
          sign,
          whole,
          fraction === null ? '' : `.${fraction}`,
          exponent === null ? '' : exponent < 0 ? `e${exponent}` : `${e}${exponent}`,
        ].join(''),
      );
    fc.assert(
      fc.property(numeral, written => {
        if (refusal(written) !== null) return;
        expect(decimal(JSON.stringify(read(written)))).toBe(decimal(written));
      }),
      {
        numRuns: 2_000,
        examples: [['1e-400'], ['1.2345e-320'], ['1e400'], ['0.30000000000000004'], ['1.00000000000000001']],
      },
    );
  });

  it('one with a NUL, or half of a surrogate pair, in a string or a name', () => {
    const half = fc.integer({ min: 0xd800, max: 0xdfff }).map(code => `\\u${code.toString(16)}`);
    const bad = fc.oneof(
      fc.constant('\\u0000'),
      half,
      half.map(each => `x${each}y`),
    );
    fc.assert(
      fc.property(
        fc
          .tuple(bad, fc.boolean())
          .chain(([string, isName]) => wrapped(isName ? `{"${string}":1}` : `["${string}"]`)),
        document => {
          expect(refusal(document)).toBe('ambiguous');
        },
      ),
    );
    expect(read('"\\ud83d\\ude00"')).toBe('😀');
    expect(refusal('"\\ude00\\ud83d"')).toBe('ambiguous');
  });

  it.each([33, 100, 1_000, 32_000])('one that nests %i levels deep', levels => {
    expect(refusal('['.repeat(levels) + ']'.repeat(levels))).toBe('ambiguous');
    expect(refusal('{"a":'.repeat(levels / 4 + 32) + '1' + '}'.repeat(levels / 4 + 32))).toBe('ambiguous');
    expect(refusal('['.repeat(levels))).toBe('malformed');
  });
});

describe('what is no JSON document is refused', () => {
  it('bytes that are not UTF-8: cut short, overlong, surrogates, Latin-1, UTF-16', () => {
    const bad = [
      '22c322',
      '22e28222',
      '22c0af22',
      '22e080af22',
      '22eda08022',
      '22f080808022',
      '22f490808022',
      '22e922',
      'fffe7b007d00',
      '227b00',
      '22ff22',
    ];
    for (const hex of bad) expect([hex, refusal(Buffer.from(hex, 'hex'))]).toEqual([hex, 'malformed']);
  });

  it.each([
    '',
    ' ',
    '{',
    '}',
    '{}{}',
    '{"a":1,}',
    '[1,]',
    "{'a':1}",
    '{a:1}',
    '01',
    '+1',
    '.5',
    '1.',
    '0x10',
    'NaN',
    'Infinity',
    'undefined',
    '{"a":1/**/}',
    '"\n"',
    '"\\x"',
    '{"a" 1}',
    'nul',
    '\0',
    '\u00a0{}',
  ])('%j', document => {
    expect(refusal(document)).toBe('malformed');
  });

  it('whatever the bytes, they are read as JSON.parse would, or refused, and nothing else is thrown', () => {
    const fragments = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      '\\',
      '\\u',
      'd800',
      '"a"',
      '"a":',
      '1',
      '-',
      'e',
      '.',
      '9007199254740993',
      'null',
      ' ',
      '\n',
      'é',
      '😀',
    );
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map(bytes => Buffer.from(bytes)),
      fc.array(fragments, { maxLength: 30 }).map(each => Buffer.from(each.join(''))),
      fc.json().map(each => Buffer.from(each)),
    );
    fc.assert(
      fc.property(noise, bytes => {
        if (refusal(bytes) !== null) return;
        expect(readJson(bytes, depthMax)).toEqual(JSON.parse(bytes.toString()));
      }),
      { numRuns: 3_000 },
    );
  });

  it('in bounded time, for any 64 KiB of it', () => {
    const half = 32 * 1_024;
    const slow = [
      '"' + '\\"'.repeat(half - 1) + '"',
      '"' + '\\'.repeat(2 * half),
      '-'.repeat(2 * half),
      `[${'1,'.repeat(half - 2)}1]`,
      `{${'"":1,'.repeat(half / 3)}"":1}`,
      '{"a":'.repeat(half / 3),
      '1'.repeat(2 * half),
      `1${'e+1'.repeat(half / 2)}`,
      ':'.repeat(2 * half),
      `"${'\\u0000'.repeat(half / 3)}"`,
    ];
    for (const document of slow) {
      const started = performance.now();
      refusal(document);
      expect(performance.now() - started).toBeLessThan(500);
    }
  });
});

/** A numeral in one form: no needless zeros, no needless exponent. */
function decimal(numeral: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(numeral) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const bare = digits.replace(/0+$/, '');
  if (bare === '') return '0';
  return `${sign}${bare}e${Number(exponent) - fraction.length + digits.length - bare.length}`;
}
