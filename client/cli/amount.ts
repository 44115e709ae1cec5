import { UsageError } from './usage-error.js';

/**
 * How many decimals a currency's minor unit is away from the currency, by ISO 4217 (list one). All others have two.
 *
 * Not by `Intl.NumberFormat`: it follows CLDR, where seventeen currencies have the decimals that people still use, and
 * not those that banks settle in. 100 HUF would become 100 fillér: one forint.
 * https://www.six-group.com/en/products-services/financial-information/data-standards.html
 */
const exponents: Readonly<Record<number, string>> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
  3: 'BHD IQD JOD KWD LYD OMR TND',
  4: 'CLF UYW',
};

/** Gold, units of account, tests: in the list, and without a minor unit. Nothing can be paid in them. */
const withoutMinorUnit = 'XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX';

const exponentOf = new Map(
  Object.entries(exponents).flatMap(([exponent, codes]) =>
    codes.split(' ').map(code => [code, Number(exponent)] as const),
  ),
);

/** @returns null for what is no currency, and for what nothing can be paid in */
function knownExponent(currency: string): number | null {
  if (!/^[A-Z]{3}$/.test(currency) || withoutMinorUnit.split(' ').includes(currency)) return null;
  return exponentOf.get(currency) ?? 2;
}

/** @throws UsageError. Which other currencies there are, the server knows: it refuses what is none. */
function currencyExponent(currency: string): number {
  const exponent = knownExponent(currency);
  if (exponent !== null) return exponent;
  if (/^[A-Z]{3}$/.test(currency)) {
    throw new UsageError(`${currency} has no minor unit, so no amount of it can be paid.`);
  }
  const example = /^[a-z]{3}$/i.test(currency) ? currency.toUpperCase() : 'GBP, say';
  throw new UsageError(`“${currency}” is not a currency.`, `A currency is three capitals: ${example}.`);
}

/**
 * Reads an amount as people type it, `100` or `100.00`, into minor units. Digit by digit: no number with a floating
 * point ever holds it, and nothing is rounded.
 *
 * @throws UsageError for whatever could be read in two ways, or has more decimals than the currency
 */
export function parseAmount(text: string, currency: string): bigint {
  const exponent = currencyExponent(currency);
  const [, whole, decimals = ''] = /^(\d+)(?:\.(\d+))?$/.exec(text) ?? [];
  const example = exponent === 0 ? '100' : `100.${'0'.repeat(exponent)}`;
  if (whole === undefined) {
    throw new UsageError(`“${text}” is not an amount.`, hintFor(text) ?? `Type it like this: ${example}.`);
  }
  if (/^0\d/.test(whole)) {
    throw new UsageError(`“${text}” begins with a needless 0.`, 'Is a digit missing, or a decimal point?');
  }
  if (decimals.length > exponent) {
    const has = exponent === 0 ? 'no decimals' : `${exponent} decimals`;
    throw new UsageError(
      `“${text}” has ${decimals.length} decimals, and ${currency} has ${has}.`,
      `The smallest amount is ${formatAmount(1n, currency)}. Nothing is rounded here.`,
    );
  }
  const amount = BigInt(whole + decimals.padEnd(exponent, '0'));
  if (amount === 0n) throw new UsageError('There is nothing to pay.', 'An amount is above zero.');
  if (amount > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new UsageError(
      `“${text}” is more than can be sent.`,
      `A JSON number holds at most ${formatAmount(BigInt(Number.MAX_SAFE_INTEGER), currency)}.`,
    );
  }
  return amount;
}

/** The most likely slip, by the first thing that is wrong. */
function hintFor(text: string): string | null {
  if (/^[+-]/.test(text)) return 'An amount has no sign: money goes from the payer to the payee.';
  if (text.includes(',')) {
    return 'No commas: for some they are thousands, for others decimals. Type 1000.00 for a thousand.';
  }
  if (/[\p{Sc}A-Za-z]$|^[\p{Sc}A-Za-z]/u.test(text)) {
    return 'The currency is a word of its own, after the amount: 100.00 GBP.';
  }
  if (text.startsWith('.')) return `Type a digit before the point: 0${text}.`;
  if (text.endsWith('.')) return `Type digits after the point, or leave it out: ${text.slice(0, -1)}.`;
  return null;
}

/** As it would be typed: `100.00 GBP`, `100 JPY`. Never throws: what a server tells can always be shown. */
export function formatAmount(amount: bigint | number, currency: string): string {
  const exponent = knownExponent(currency);
  if (exponent === null) return `${amount} minor units of ${currency}`;
  const minorUnits = BigInt(amount);
  const digits = String(minorUnits < 0n ? -minorUnits : minorUnits).padStart(exponent + 1, '0');
  const point = digits.length - exponent;
  const decimals = exponent === 0 ? '' : `.${digits.slice(point)}`;
  return `${minorUnits < 0n ? '-' : ''}${digits.slice(0, point)}${decimals} ${currency}`;
}
