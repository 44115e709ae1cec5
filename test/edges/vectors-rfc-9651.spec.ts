import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { paymentBytes } from '../support/payment-bytes.js';
import { exchange, headerOf, type WireAnswer } from '../support/wire.js';

/** All that may stand in a key: visible ASCII but the comma. */
const alphabet = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index))
  .join('')
  .replace(',', '');
const escaped = alphabet.replace(/["\\]/g, '\\$&');

/**
 * Header values written from the grammar of RFC 9651, sections 3.3.3 and 4.2.5:
 *
 *     sf-string = DQUOTE *( unescaped / "%" / bs-escaped ) DQUOTE
 *     unescaped = %x20-21 / %x23-24 / %x26-5B / %x5D-7E
 *     bs-escaped = "\" ( DQUOTE / "\" )
 */
describe('the key header is read as RFC 9651 spells strings', () => {
  let database: Database;
  let alice: Customer;
  let api: Api;
  let port: number;

  beforeAll(async () => {
    database = await createDatabase();
    alice = await database.addCustomer({ name: 'alice', balance: 100_000 });
    await database.addCustomer({ name: 'sam' });
    api = await bootApi(database.url);
    port = Number(new URL(api.url).port);
  });
  afterEach(() => expectNoLeaks(database.sql));
  afterAll(async () => {
    await api.stop();
    await database.drop();
  });

  async function payUnder(key: string): Promise<WireAnswer> {
    const body = '{"to":"sam","amount":1,"currency":"GBP"}';
    const { answers } = await exchange(port, paymentBytes({ port, apiKey: alice.apiKey, key, body }));
    expect(answers).toHaveLength(1);
    return answers[0] as WireAnswer;
  }

  it.each([
    ['one character', '"a"', 'a'],
    ['a quotation mark, escaped', '"say-\\"hi\\""', 'say-"hi"'],
    ['a backslash, escaped', '"C:\\\\temp"', 'C:\\temp'],
    ['nothing but a backslash and a quotation mark', '"\\\\\\""', '\\"'],
    ['an escaped backslash before what is then no escape', '"a\\\\b"', 'a\\b'],
    ['a percent sign, which escapes nothing', '"%61"', '%61'],
    ['every character a key may have', `"${escaped}"`, alphabet],
    ['what would be a number without quotation marks', '"42"', '42'],
    ['what would be a boolean', '"?1"', '?1'],
    ['what would be bytes', '":cGF5:"', ':cGF5:'],
    ['what would be a date', '"@1659578233"', '@1659578233'],
    ['what would be an inner list', '"(a)"', '(a)'],
    ['what would be parameters', '"a;b=1"', 'a;b=1'],
    ['255 characters, each of them escaped', `"${'\\"'.repeat(255)}"`, '"'.repeat(255)],
    ['blanks around it', '  "around"\t ', 'around'],
  ])('takes %s', async (_, value, key) => {
    const answer = await payUnder(value);
    expect([answer.status, headerOf(answer, 'idempotency-key')]).toEqual([200, key]);
    if (!key.startsWith('"')) {
      // The bare spelling is the same key: a replay.
      const bare = await payUnder(key);
      expect([bare.status, bare.body]).toEqual([200, answer.body]);
      expect(headerOf(bare, 'idempotent-replayed')).toBe('true');
    }
  });

  it.each([
    ['an empty string, which is a string and no key', '""'],
    ['a quotation mark alone', '"'],
    ['no quotation mark at its end', '"open'],
    ['an escaped quotation mark at its end', '"open\\"'],
    ['a backslash at its end', '"open\\'],
    ['an escape of anything else', '"a\\b"'],
    ['an escape as JSON has it', '"\\u0041"'],
    ['a line end as C has it', '"a\\n"'],
    ['a tab inside', '"a\tb"'],
    ['Latin-1 inside', '"caf\xe9"'],
    ['UTF-8 inside', '"caf\xc3\xa9"'],
    ['a blank, which a string may hold and a key may not', '"a b"'],
    ['a comma, which a string may hold and a key may not', '"a,b"'],
    ['a parameter', '"a";p=1'],
    ['a parameter without a value', '"a";p'],
    ['a semicolon and no more', '"a";'],
    ['something behind it', '"a"b'],
    ['another string behind it', '"a" "b"'],
    ['a list of two', '"a","b"'],
    ['an inner list', '("a")x, "b"'],
    ['a display string with a blank', '%"f%c3%bc f"'],
    ['256 characters, each of them escaped', `"${'\\"'.repeat(256)}"`],
  ])('refuses %s', async (_, value) => {
    const before = await countRows(database.sql);
    const answer = await payUnder(value);
    expect([answer.status, JSON.parse(answer.body)]).toMatchObject([
      400,
      { code: 'idempotency_key_invalid', retryable: false },
    ]);
    expect(await countNewRows(database.sql, before)).toEqual({ keys: 0, payments: 0, transfers: 0 });
  });
});
