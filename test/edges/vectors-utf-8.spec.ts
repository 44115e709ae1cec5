import { randomUUID } from 'node:crypto';
import { bootApi, type Api } from '../support/api.js';
import { createDatabase, type Customer, type Database } from '../support/database.js';
import { countNewRows, countRows } from '../support/invariants.js';
import { expectNoLeaks } from '../support/leak-check.js';
import { paymentBytes } from '../support/payment-bytes.js';
import { exchange, type WireAnswer } from '../support/wire.js';

/**
 * Byte sequences by the categories of Markus Kuhn's "UTF-8 decoder capability and stress test"; what is well formed
 * is in table 3-7 of the Unicode standard. A decoder that repairs one of them makes two requests of one.
 */
describe('bodies are UTF-8, to the byte', () => {
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

  async function pay(...parts: (string | Buffer)[]): Promise<WireAnswer> {
    const body = Buffer.concat(parts.map(part => Buffer.from(part as string)));
    const bytes = paymentBytes({ port, apiKey: alice.apiKey, key: randomUUID(), body });
    const { answers } = await exchange(port, bytes);
    expect(answers).toHaveLength(1);
    return answers[0] as WireAnswer;
  }

  const inValue = (bytes: Buffer) =>
    pay('{"to":"sam","amount":1,"currency":"GBP","reference":"a', bytes, 'b"}');
  const inName = (bytes: Buffer) => pay('{"to":"sam","amount":1,"currency":"GBP","a', bytes, 'b":1}');
  const atTheEnd = (bytes: Buffer) => pay('{"to":"sam","amount":1,"currency":"GBP"}', bytes);

  it.each([
    ['the last of one byte', '7f', 0x7f],
    ['the first of two bytes', 'c280', 0x80],
    ['the last of two bytes', 'dfbf', 0x7ff],
    ['the first of three bytes', 'e0a080', 0x800],
    ['the last before the surrogates', 'ed9fbf', 0xd7ff],
    ['the first behind the surrogates', 'ee8080', 0xe000],
    ['the replacement character itself', 'efbfbd', 0xfffd],
    ['a noncharacter, which is well formed', 'efbfbe', 0xfffe],
    ['the last of three bytes', 'efbfbf', 0xffff],
    ['the first of four bytes', 'f0908080', 0x10000],
    ['the last of all', 'f48fbfbf', 0x10ffff],
  ])('takes %s, and keeps it as it is', async (_, hex, codePoint) => {
    const answer = await inValue(Buffer.from(hex, 'hex'));
    expect(answer.status).toBe(200);
    const { reference, id } = JSON.parse(answer.body) as { reference: string; id: string };
    expect(reference).toBe(`a${String.fromCodePoint(codePoint)}b`);
    const stored = await database.sql('SELECT reference FROM payments WHERE id = $1', [id]);
    expect(stored).toEqual([{ reference }]);
  });

  it.each([
    // Unexpected continuation bytes.
    ['a continuation byte alone', '80'],
    ['the last continuation byte alone', 'bf'],
    ['six continuation bytes', '80bf80bf80bf'],
    // Lonely start characters.
    ['the start of two bytes, then a blank', 'c220'],
    ['the start of three bytes, then a blank', 'e220'],
    ['the start of four bytes, then a blank', 'f020'],
    // Sequences with the last continuation byte missing.
    ['two bytes, the last missing', 'df'],
    ['three bytes, the last missing', 'efbf'],
    ['four bytes, the last missing', 'f48fbf'],
    ['several of these in a row', 'c3e0a0f09080'],
    // Impossible bytes.
    ['FE', 'fe'],
    ['FF', 'ff'],
    ['FE FE FF FF', 'fefeffff'],
    ['the start of five bytes', 'f888808080'],
    ['the start of six bytes', 'fc8480808080'],
    // Overlong: a slash, a NUL, a quotation mark, and the largest of each length.
    ['a slash in two bytes', 'c0af'],
    ['a slash in three bytes', 'e080af'],
    ['a slash in four bytes', 'f08080af'],
    ['a slash in five bytes', 'f8808080af'],
    ['a NUL in two bytes', 'c080'],
    ['a NUL in three bytes', 'e08080'],
    ['a NUL in four bytes', 'f0808080'],
    ['a quotation mark in two bytes', 'c0a2'],
    ['the largest of two bytes that is too long', 'c1bf'],
    ['the largest of three bytes that is too long', 'e09fbf'],
    ['the largest of four bytes that is too long', 'f08fbfbf'],
    // Halves of surrogate pairs, alone and in pairs.
    ['the first high surrogate', 'eda080'],
    ['the last high surrogate', 'edafbf'],
    ['the first low surrogate', 'edb080'],
    ['the last low surrogate', 'edbfbf'],
    ['a pair of them, as CESU-8 has it', 'eda080edb080'],
    ['the last pair of them', 'edafbfedbfbf'],
    // Beyond the last code point.
    ['the first above U+10FFFF', 'f4908080'],
    ['the last that four bytes could hold', 'f7bfbfbf'],
  ])('refuses %s: in a value, in a name, behind the document', async (_, hex) => {
    const before = await countRows(database.sql);
    const bytes = Buffer.from(hex, 'hex');
    for (const answer of [await inValue(bytes), await inName(bytes), await atTheEnd(bytes)]) {
      expect([answer.status, JSON.parse(answer.body)]).toMatchObject([
        400,
        { code: 'malformed_json', detail: expect.stringContaining('UTF-8') as unknown },
      ]);
    }
    expect(await countNewRows(database.sql, before)).toEqual({ keys: 0, payments: 0, transfers: 0 });
  });
});
