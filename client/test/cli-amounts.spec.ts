import fc from 'fast-check';
import { formatAmount, parseAmount } from '../cli/amount.js';
import { UsageError } from '../cli/usage-error.js';

/** ISO 4217's own examples, by the number of decimals. */
const someCurrencies = { JPY: 0, KRW: 0, GBP: 2, EUR: 2, HUF: 2, IDR: 2, BHD: 3, KWD: 3, CLF: 4 };

const currency = fc.constantFrom(...Object.entries<number>(someCurrencies));
const minorUnits = fc.bigInt({ min: 1n, max: BigInt(Number.MAX_SAFE_INTEGER) });

describe('an amount that is typed', () => {
  it.each([
    ['100', 'GBP', 10_000n],
    ['100.00', 'GBP', 10_000n],
    ['100.5', 'GBP', 10_050n],
    ['0.01', 'GBP', 1n],
    ['100', 'JPY', 100n],
    ['100', 'HUF', 10_000n],
    ['1.234', 'BHD', 1_234n],
    ['1.2', 'BHD', 1_200n],
    ['1', 'CLF', 10_000n],
    // Through a floating point these come out as 114, 1998 and 90071992547409.9.
    ['1.15', 'GBP', 115n],
    ['19.99', 'GBP', 1_999n],
    ['90071992547409.91', 'GBP', 9_007_199_254_740_991n],
  ])('%s %s is %s minor units', (text, code, amount) => {
    expect(parseAmount(text, code)).toBe(amount);
  });

  it('is read back as what was printed, for every amount and every number of decimals', () => {
    fc.assert(
      fc.property(minorUnits, currency, (amount, [code]) => {
        const [typed = '', same = ''] = formatAmount(amount, code).split(' ');
        expect(same).toBe(code);
        expect(parseAmount(typed, code)).toBe(amount);
      }),
    );
  });

  it('means the same with its last zeros left out', () => {
    fc.assert(
      fc.property(minorUnits, currency, (amount, [code]) => {
        const [typed = ''] = formatAmount(amount, code).split(' ');
        fc.pre(typed.includes('.'));
        const short = typed.replace(/0+$/, '').replace(/\.$/, '');
        expect(parseAmount(short, code)).toBe(amount);
      }),
    );
  });

  it('is the digits and nothing else: the whole ones, and as many decimals as the currency has', () => {
    fc.assert(
      fc.property(minorUnits, currency, (amount, [code, exponent]) => {
        const [typed = ''] = formatAmount(amount, code).split(' ');
        expect(typed).toMatch(exponent === 0 ? /^\d+$/ : new RegExp(`^\\d+\\.\\d{${exponent}}$`));
        expect(BigInt(typed.replace('.', ''))).toBe(amount);
      }),
    );
  });

  it('is refused with a decimal more than the currency has, even a 0: nothing is rounded', () => {
    fc.assert(
      fc.property(minorUnits, currency, fc.integer({ min: 0, max: 9 }), (amount, [code, exponent], digit) => {
        const [typed = ''] = formatAmount(amount, code).split(' ');
        const longer = `${typed}${exponent === 0 ? '.' : ''}${digit}`;
        const said = refusalOf(longer, code).message;
        expect(said).toContain(`has ${exponent + 1} decimals`);
        expect(said).toContain(
          exponent === 0 ? `${code} has no decimals` : `${code} has ${exponent} decimals`,
        );
      }),
    );
  });

  it.each([
    ['1,000.00', /No commas/],
    ['1.000,00', /No commas/],
    ['-5', /no sign/],
    ['+5', /no sign/],
    ['£5', /a word of its own/],
    ['5€', /a word of its own/],
    ['5GBP', /a word of its own/],
    ['.50', /0\.50/],
    ['5.', /: 5\./],
    ['1e3', /Type it like this: 100\.00/],
    ['0x10', /Type it like this/],
    ['1 000', /Type it like this/],
    ['', /Type it like this/],
    ['١٠٠', /Type it like this/],
  ])('“%s” is refused, and the hint says how to type it', (text, hint) => {
    expect(refusalOf(text, 'GBP').hint).toMatch(hint);
  });

  it.each(['0', '0.00'])('“%s” is nothing to pay', text => {
    expect(refusalOf(text, 'GBP').message).toBe('There is nothing to pay.');
  });

  it('with a leading 0 is refused: it might be 0.5 or 5', () => {
    expect(refusalOf('05', 'GBP').hint).toContain('decimal point');
  });

  it('is refused where a JSON number would not hold it', () => {
    expect(refusalOf('90071992547409.92', 'GBP').hint).toContain('90071992547409.91 GBP');
  });

  it('is either refused with a hint, or exactly what was typed: whatever is typed', () => {
    const text = fc.stringMatching(/^[0-9.,eE+\-x_ ]{0,12}$/);
    fc.assert(
      fc.property(text, currency, (typed, [code, exponent]) => {
        let amount: bigint;
        try {
          amount = parseAmount(typed, code);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
          return;
        }
        // Told apart by another way of counting: how many digits stand behind the point.
        const [, decimals = ''] = typed.split('.');
        const scale = 10n ** BigInt(exponent - decimals.length);
        expect(amount).toBe(BigInt(typed.replace('.', '')) * scale);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('a currency', () => {
  it('has the decimals of ISO 4217, which are not those of Intl', () => {
    const byIntl = (code: string) =>
      new Intl.NumberFormat('en', { style: 'currency', currency: code }).resolvedOptions()
        .maximumFractionDigits;
    const differs = Object.entries(someCurrencies).filter(([code, exponent]) => byIntl(code) !== exponent);
    for (const [code, exponent] of Object.entries(someCurrencies)) {
      expect(formatAmount(10n ** BigInt(exponent), code)).toBe(
        exponent === 0 ? `1 ${code}` : `1.${'0'.repeat(exponent)} ${code}`,
      );
    }
    expect(differs.map(([code]) => code)).toEqual(['HUF', 'IDR']);
  });

  it.each([
    ['gbp', /GBP/],
    ['POUNDS', /GBP, say/],
    ['£', /GBP, say/],
    ['', /GBP, say/],
  ])('“%s” is none, and the hint names one', (code, hint) => {
    expect(refusalOf('1', code).hint).toMatch(hint);
  });

  it('without a minor unit cannot be paid in', () => {
    expect(refusalOf('1', 'XAU').message).toContain('no minor unit');
  });

  it('that nobody knows is still shown, whatever a server sends', () => {
    expect(formatAmount(5, 'XAU')).toBe('5 minor units of XAU');
    expect(formatAmount(-150, 'GBP')).toBe('-1.50 GBP');
  });
});

function refusalOf(text: string, code: string): UsageError {
  try {
    parseAmount(text, code);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`${text} ${code} was taken`);
}
