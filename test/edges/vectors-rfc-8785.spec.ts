import { createHash } from 'node:crypto';
import { fingerprint } from '../../src/idempotency/fingerprint.js';
import type { Params } from '../../src/idempotency/operation.js';
import { bootApi } from '../support/api.js';
import { createDatabase } from '../support/database.js';
import { call } from '../support/http.js';
import { setUpScene } from '../support/scene.js';

/** A fingerprint as anybody computes it who has the canonical document, written out by hand. */
const sha256 = (document: string) => createHash('sha256').update(document).digest('hex');
const hex = (params: object) => fingerprint('x', params as Params).toString('hex');

describe('a fingerprint is taken of the form that RFC 8785 prescribes', () => {
  /** RFC 8785, appendix B: the bits of a double, and its only spelling. */
  it.each([
    ['0000000000000000', '0'],
    ['8000000000000000', '0'],
    ['0000000000000001', '5e-324'],
    ['8000000000000001', '-5e-324'],
    ['7fefffffffffffff', '1.7976931348623157e+308'],
    ['ffefffffffffffff', '-1.7976931348623157e+308'],
    ['4340000000000000', '9007199254740992'],
    ['c340000000000000', '-9007199254740992'],
    ['4430000000000000', '295147905179352830000'],
    ['44b52d02c7e14af5', '9.999999999999997e+22'],
    ['44b52d02c7e14af6', '1e+23'],
    ['44b52d02c7e14af7', '1.0000000000000001e+23'],
    ['444b1ae4d6e2ef4e', '999999999999999700000'],
    ['444b1ae4d6e2ef4f', '999999999999999900000'],
    ['444b1ae4d6e2ef50', '1e+21'],
    ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
    ['3eb0c6f7a0b5ed8d', '0.000001'],
    ['41b3de4355555553', '333333333.3333332'],
    ['41b3de4355555554', '333333333.33333325'],
    ['41b3de4355555555', '333333333.3333333'],
    ['41b3de4355555556', '333333333.3333334'],
    ['41b3de4355555557', '333333333.33333343'],
    ['becbf647612f3696', '-0.0000033333333333333333'],
    ['43143ff3c1cb0959', '1424953923781206.2'],
  ])('the number %s is %s', (bits, spelling) => {
    const number = Buffer.from(bits, 'hex').readDoubleBE();
    expect(hex({ n: number })).toBe(sha256(`[1,"x",{"n":${spelling}}]`));
  });

  /** The same appendix: what has no spelling in JSON is an error, never `null`. */
  it.each([NaN, Infinity, -Infinity])('%d has no fingerprint', number => {
    expect(() => hex({ n: number })).toThrow();
  });

  /** RFC 8785, section 3.2.2. */
  it('the sample of all types is spelled as printed there', () => {
    const sample = `{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\"\\/",
      "literals": [null, true, false]
    }`;
    const canonical =
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],' +
      '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}';
    expect(hex(JSON.parse(sample) as object)).toBe(sha256(`[1,"x",${canonical}]`));
  });

  /** RFC 8785, section 3.2.3: by UTF-16 code units, so that the emoji comes before the Hebrew letter. */
  it('the members of the sample stand in the order printed there', () => {
    const sample = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    const canonical =
      '{"\\r":"Carriage Return","1":"One","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis",' +
      '"\u20ac":"Euro Sign","\ud83d\ude00":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}';
    expect(hex(sample)).toBe(sha256(`[1,"x",${canonical}]`));
  });

  it('the version and the operation are part of it', () => {
    const one = fingerprint('payment', { a: 1 }).toString('hex');
    expect(one).toBe(sha256('[1,"payment",{"a":1}]'));
    expect(one).not.toBe(sha256('[2,"payment",{"a":1}]'));
    expect(one).not.toBe(sha256('[1,"refund",{"a":1}]'));
  });
});

describe('the fingerprint of a payment is the one that another implementation computes', () => {
  const scene = setUpScene();

  /**
   * Computed with Python's hashlib over documents written by hand, the first one being
   * `[1,"payment",{"amount":1234,"currency":"GBP","from":"alice","rail":"ledger","reference":null,"to":"sam"}]`.
   */
  it.each([
    [
      'as short as it may be, with all defaults',
      '{"to":"sam","amount":1234,"currency":"GBP"}',
      '140a916aad5d7bcf999be09fcc86ef420b5a065500a643af34400b5dcaf41a16',
    ],
    [
      'the same with every default spelled out, in another order, and with the time',
      '{ "client_timestamp": "now", "reference": null, "currency": "G\\u0042P", "rail": "ledger", "from": "alice", "amount": 12.34e2, "to": "sam" }',
      '140a916aad5d7bcf999be09fcc86ef420b5a065500a643af34400b5dcaf41a16',
    ],
    [
      'with text of one to four bytes, and what JSON has escapes for',
      '{"to":"sam","amount":1234,"currency":"GBP","reference":"\\u000F\\u000A\\"\\\\\\/\\u007f\\u0080\\u20AC\\uFB33\\uD83D\\uDE00"}',
      'edce7ae4f134376f3d275550f8e6851654bb0bc66dc6b66de6bfd9d9580f904d',
    ],
    [
      'of the largest amount, which is declined',
      '{"to":"sam","amount":100000000,"currency":"GBP","reference":""}',
      '850bcf0e22fd85903a2de9aa004dd955706c646dca0c3cf1a8f5d42753e882df',
    ],
  ])('%s', async (what, body, expected) => {
    const api = await scene.boot();
    const { status } = await scene.pay(api, Buffer.from(what).toString('base64url'), body);
    expect([200, 402]).toContain(status);
    const [row] = await scene.sql<{ hex: string; version: number }>(
      `SELECT encode(fingerprint, 'hex') AS hex, fingerprint_version AS version
         FROM idempotency_keys ORDER BY created_at DESC, key LIMIT 1`,
    );
    expect(row).toEqual({ hex: expected, version: 1 });
  });
});

describe('the fingerprint that stands for a key', () => {
  it('is told to its caller as base64url, so that others can compute it too', async () => {
    const database = await createDatabase();
    const api = await bootApi(database.url);
    const kay = await database.addCustomer({ name: 'kay', balance: 10_000 });
    await database.addCustomer({ name: 'sam' });
    await database.sql(`UPDATE customers SET keyless = 'fingerprint' WHERE id = $1`, [kay.id]);
    const { status, headers } = await call(`${api.url}/payments`, {
      apiKey: kay.apiKey,
      body: { to: 'sam', amount: 1_234, currency: 'GBP' },
    });
    await api.stop();
    await database.drop();
    expect(status).toBe(200);
    expect(headers.get('idempotency-key')).toBe('fp_n2NCYLVFiQAkUEHrTBkRPQAOR1t6qpH5fVdYD56nlbM');
  });
});
