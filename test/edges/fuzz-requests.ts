import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import type { Route, Schema } from './fuzz-routes.js';

/** A request before it is bytes. In its texts one character is one byte, and `{{…}}` is filled in when it is sent. */
export interface FuzzRequest {
  method: string;
  target: string;
  headers: [name: string, value: string][];
  body: string | null;
  isChunked: boolean;
  /** Whom it is meant for. Null: it was bent so far that any route, or none, may answer it. */
  route: Route | null;
}

/** API keys that the test plants, so that a request found today can be sent tomorrow. */
export const apiKeys = {
  alice: 'sk_fuzz_alice',
  bob: 'sk_fuzz_bob',
  keyless: 'sk_fuzz_keyless',
  readonly: 'sk_fuzz_readonly',
};

/** What is filled in when a request is sent: `fresh` is another key each time, `payment` one that alice has made. */
export type Filling = Record<'host' | 'payment', string>;

/** As bytes, ready to be written to a socket. */
export function toBytes(request: FuzzRequest, filling: Filling): Buffer {
  return Buffer.from(fill(toText(request), filling), 'latin1');
}

/** As a line for a shell: what found a bug can be sent again by hand. */
export function toShell(request: FuzzRequest): string {
  const text = fill(toText(request), { host: '127.0.0.1:3000', payment: randomUUID() });
  const escaped = text.replace(/[^ -~]|['\\%]/g, character =>
    character === '%' ? '%%' : `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  );
  return `printf '${escaped}' | nc 127.0.0.1 3000`;
}

function fill(text: string, filling: Filling): string {
  return text.replace(/\{\{(host|payment|fresh)\}\}/g, (_, name: keyof Filling | 'fresh') =>
    name === 'fresh' ? randomUUID() : filling[name],
  );
}

/** Placeholders in a body are as long as what they become: 36 characters, braces and all. */
function toText({ method, target, headers, body, isChunked }: FuzzRequest): string {
  const framing: [string, string][] =
    body === null
      ? []
      : isChunked
        ? [['Transfer-Encoding', 'chunked']]
        : [['Content-Length', String(filledLength(body))]];
  const lines = [...headers, ...framing, ['Connection', 'close']].map(([name, value]) => `${name}: ${value}`);
  const head = [`${method} ${target} HTTP/1.1`, ...lines, '', ''].join('\r\n');
  return head + (body !== null && isChunked ? inChunks(body) : (body ?? ''));
}

function inChunks(body: string): string {
  const chunks = [body.slice(0, 7), body.slice(7)].filter(chunk => chunk !== '');
  return [...chunks, ''].map(chunk => `${filledLength(chunk).toString(16)}\r\n${chunk}\r\n`).join('');
}

function filledLength(text: string): number {
  return fill(text, { host: '127.0.0.1:65535', payment: randomUUID() }).length;
}

const latin1 = (text: string) => Buffer.from(text).toString('latin1');

/** Each has hurt somebody: see the groups of bad inputs, and what OWASP lists. */
const hostileText = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    "'; DROP TABLE payments; --",
    "' OR '1'='1",
    '$1',
    '\\',
    '"',
    '%',
    '_',
    '__proto__',
    'constructor',
    'prototype',
    'toString',
    'hasOwnProperty',
    'null',
    'undefined',
    'NaN',
    'true',
    '[object Object]',
    '${jndi:ldap://127.0.0.1/a}',
    '{{7*7}}',
    '<script>alert(1)</script>',
    '../../etc/passwd',
    '..',
    '.',
    '%00',
    '%2e%2e%2f',
    '%0d%0aX-Evil: 1',
    '\u202egnihtemos',
    '\ufeff',
    'é e\u0301',
    '💷'.repeat(70),
    '💷'.repeat(71),
    'a\u0300'.repeat(100),
    'x'.repeat(64),
    'x'.repeat(65),
    'x'.repeat(255),
    'x'.repeat(256),
    'x'.repeat(3_000),
    '018f0000-0000-7000-8000-000000000000',
    '00000000-0000-0000-0000-000000000000',
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    '{{payment}}',
    'bank:GBP',
    'bob',
    '2026-02-30T25:61:61Z',
    '-1',
    '1e400',
    '0x10',
  ),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.uuid(),
);

/**
 * Bytes that a log, a terminal or a parser might stumble over. Some of them end a header line, and begin another; none
 * ends all of them, which would make two requests of one.
 */
const rawBytes = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(
        '\0',
        '\r',
        '\n',
        '\r\n',
        '\t',
        '\x1b[2J',
        '\x7f',
        '\x80',
        '\xff',
        '\xc0\xaf',
        '\xed\xa0\x80',
      ),
      fc.integer({ min: 0x20, max: 0x7e }).map(code => String.fromCharCode(code)),
    ),
    maxLength: 12,
  })
  .filter(text => !/\r\n(\r\n|$)/.test(text));

/** JSON as text, since what is wrong with it may be lost in an object: numbers, escapes, members twice. */
const hostileJson: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    'null',
    'true',
    '[]',
    '{}',
    '""',
    '0',
    '-0',
    '-1',
    '1.5',
    '100.0',
    '1e2',
    '1e400',
    '-1e400',
    '1e-400',
    '9007199254740991',
    '9007199254740993',
    '9223372036854775808',
    '1'.repeat(400),
    '100000000',
    '100000001',
    '"100"',
    '[100]',
    '{"$gt":0}',
    '{"valueOf":1,"toString":1,"length":1}',
    '"\\u0000"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"a\tb"',
    '"\\r\\nlevel=error"',
    '[[[[[[[[[[]]]]]]]]]]',
    `${'['.repeat(40)}${']'.repeat(40)}`,
    `${'{"a":'.repeat(33)}1${'}'.repeat(33)}`,
    '{"__proto__":{"polluted":1}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '{"a":1,"a":2}',
    '01',
    'NaN',
    '1/*x*/',
    "'a'",
    '',
  ),
  hostileText.map(text => JSON.stringify(text)),
  fc.json({ maxDepth: 4 }),
);

/** What makes sense here, by the name of the member or its place in the path; a schema alone would hardly ever make a payment. */
const sensible: Record<string, fc.Arbitrary<unknown>> = {
  to: fc.constantFrom('sam', 'sam', 'sam', 'sam', 'bob', 'dee', 'flo', 'rex'),
  from: fc.constantFrom('alice', 'alice', null, null, 'bob'),
  amount: fc.oneof(
    { arbitrary: fc.integer({ min: 1, max: 100 }), weight: 6 },
    { arbitrary: fc.constantFrom(1, 20_000_000, 100_000_000, 100_000_001), weight: 1 },
  ),
  currency: fc.constantFrom(...Array<string>(8).fill('GBP'), 'EUR', 'JPY'),
  rail: fc.constantFrom('ledger', 'ledger', null, 'bank', 'bank'),
  // Free text, and so whatever a database or a log might choke on.
  reference: fc.oneof(
    { arbitrary: fc.constantFrom(null, 'Invoice 456'), weight: 4 },
    { arbitrary: hostileText, weight: 4 },
    { arbitrary: fc.constantFrom('\0', 'a\0b', '\ud800', '\udc00\ud800', '\r\n{"level":50}'), weight: 1 },
  ),
  payment_id: fc.constant('{{payment}}'),
  '/payments/{id}': fc.constantFrom('{{payment}}', '{{payment}}', '018f0000-0000-7000-8000-000000000000'),
  '/accounts/{id}': fc.constantFrom('alice', 'alice', 'bob', 'keyless'),
  key: fc.oneof(fc.constant('{{fresh}}'), fc.nat(30).map(sharedKey)),
  limit: fc.integer({ min: 1, max: 100 }),
  after: fc.constant('{{payment}}'),
  code: fc.constantFrom('not_found', 'in_progress'),
};

/** Keys that several requests have: repeats, collisions, and what was cancelled. */
function sharedKey(number: number): string {
  return `shared-${number}`;
}

/** A member spelled as JSON: its name, and the text of its value. */
type Member = [name: string, json: string];

/** Something the schema allows, as JSON. */
function valid(schema: Schema, name = ''): fc.Arbitrary<string> {
  const known = sensible[name];
  if (known) return known.map(value => JSON.stringify(value));
  const choices = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (choices) return fc.oneof(...choices.map(choice => valid(choice, name)));
  if (schema.enum) return fc.constantFrom(...schema.enum).map(value => JSON.stringify(value));
  if (schema.properties) return validMembers(schema).map(toObject);
  const [type = 'string'] = [schema.type ?? []].flat();
  switch (type) {
    case 'integer':
    case 'number':
      return fc.integer({ min: 1, max: 100 }).map(String);
    case 'boolean':
      return fc.boolean().map(String);
    case 'array':
      return fc.array(valid(schema.items ?? {}), { maxLength: 3 }).map(items => `[${items.join(',')}]`);
    case 'object':
      return fc.constant('{}');
    default:
      return fc.string({ maxLength: 10 }).map(text => JSON.stringify(text));
  }
}

function validMembers({ properties = {}, required = [] }: Schema): fc.Arbitrary<Member[]> {
  const members = Object.entries(properties).map(([name, schema]) => {
    const member = valid(schema, name).map((json): Member[] => [[name, json]]);
    return required.includes(name) ? member : fc.oneof(fc.constant<Member[]>([]), member);
  });
  return fc.tuple(...members).map(each => each.flat());
}

const toObject = (members: Member[]) =>
  `{${members.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',')}}`;

/** Members left out, told twice, worth something else, or never heard of. */
function bentMembers(schema: Schema): fc.Arbitrary<Member[]> {
  const names = Object.keys(schema.properties ?? {});
  const name = fc.oneof(
    ...(names.length > 0 ? [fc.constantFrom(...names)] : []),
    fc.constantFrom('__proto__', 'constructor', 'toString', 'id', 'status', 'customer_id', 'idempotency_key'),
    hostileText,
  );
  const extra = fc.tuple(name, hostileJson);
  return fc
    .tuple(validMembers(schema), fc.array(extra, { maxLength: 2 }), fc.subarray(names), fc.boolean())
    .map(([members, extras, dropped, isReplaced]) => {
      const left = isReplaced
        ? members.filter(([each]) => !extras.some(([other]) => other === each))
        : members.filter(([each]) => !dropped.includes(each));
      return [...left, ...extras];
    });
}

function bodyFor(schema: Schema): fc.Arbitrary<string> {
  const good = valid(schema);
  return fc.oneof(
    { arbitrary: good, weight: 16 },
    { arbitrary: bentMembers(schema).map(toObject), weight: 6 },
    { arbitrary: hostileJson, weight: 1 },
    // Cut short, or with something behind it.
    { arbitrary: fc.tuple(good, fc.nat(60)).map(([json, at]) => json.slice(0, at)), weight: 1 },
    { arbitrary: fc.tuple(good, hostileJson).map(both => both.join('')), weight: 1 },
  );
}

/** UTF-8 as a rule; else bytes that are none, or an encoding that nobody asked for. */
function encoded(body: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof(
    { arbitrary: body.map(latin1), weight: 30 },
    { arbitrary: body.map(text => `\xef\xbb\xbf${latin1(text)}`), weight: 1 },
    { arbitrary: body.map(text => Buffer.from(text, 'utf16le').toString('latin1')), weight: 1 },
    {
      arbitrary: fc.tuple(body, rawBytes, fc.nat(40)).map(([text, bytes, at]) => {
        const plain = latin1(text);
        return plain.slice(0, at) + bytes + plain.slice(at);
      }),
      weight: 1,
    },
  );
}

const idempotencyKey = fc.oneof(
  { arbitrary: fc.constantFrom('{{fresh}}', '"{{fresh}}"'), weight: 30 },
  { arbitrary: fc.nat(30).map(sharedKey), weight: 4 },
  { arbitrary: fc.nat(30).map(number => `"${sharedKey(number)}"`), weight: 4 },
  { arbitrary: hostileText.map(latin1), weight: 2 },
  { arbitrary: hostileText.map(text => latin1(JSON.stringify(text))), weight: 1 },
  { arbitrary: rawBytes, weight: 1 },
);

const authorization = fc.oneof(
  { arbitrary: fc.constant(`Bearer ${apiKeys.alice}`), weight: 30 },
  { arbitrary: fc.constantFrom(...Object.values(apiKeys)).map(apiKey => `Bearer ${apiKey}`), weight: 5 },
  {
    arbitrary: fc.constantFrom('Bearer', 'Basic YTpi', `bearer  ${apiKeys.alice} `, apiKeys.alice),
    weight: 1,
  },
  { arbitrary: fc.oneof(hostileText.map(latin1), rawBytes).map(text => `Bearer ${text}`), weight: 1 },
);

const contentType = fc.oneof(
  { arbitrary: fc.constant('application/json'), weight: 40 },
  {
    arbitrary: fc.constantFrom(
      'application/json; charset=utf-8',
      'APPLICATION/JSON',
      'application/json; charset=latin1',
      'application/json\ta',
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ),
    weight: 2,
  },
  { arbitrary: fc.oneof(hostileText.map(latin1), rawBytes), weight: 1 },
);

const prefer = fc.oneof(
  fc.constantFrom(
    'wait=1',
    'wait=0',
    'respond-async',
    'respond-async',
    'respond-async',
    'wait="1"',
    'wait=-1',
    'wait=99999999999',
    'wait=1,respond-async',
  ),
  hostileText.map(latin1),
);

/** Headers that mean something to proxies, frameworks or older protocols, and nothing here. */
const extraHeader: fc.Arbitrary<[string, string]> = fc.oneof(
  fc.tuple(
    fc.constantFrom(
      'X-HTTP-Method-Override',
      'X-Forwarded-For',
      'X-Forwarded-Host',
      'X-Original-URL',
      'X-Request-Id',
      'Request-Id',
      'Content-Encoding',
      'Cookie',
      'Origin',
      'Accept',
      'Accept-Encoding',
      'Range',
      'If-None-Match',
      'traceparent',
      '__proto__',
      'constructor',
    ),
    fc.oneof(hostileText.map(latin1), fc.constantFrom('DELETE', 'gzip', '127.0.0.1', '*/*', 'bytes=0-1')),
  ),
  fc.tuple(fc.constant('X-Noise'), rawBytes),
);

/** What happens to the headers: one dropped, one told twice, one spelled oddly, one more. */
type Bend = (headers: [string, string][]) => [string, string][];

const nameOfHeader = fc.constantFrom('Idempotency-Key', 'Authorization', 'Content-Type', 'Host');
const bend: fc.Arbitrary<Bend> = fc.oneof(
  nameOfHeader.map(
    (name): Bend =>
      headers =>
        headers.filter(([each]) => each !== name),
  ),
  fc
    .tuple(nameOfHeader, fc.option(idempotencyKey))
    .map(([name, value]): Bend => headers => [
      ...headers,
      ...headers.filter(([each]) => each === name).map(([, same]): [string, string] => [name, value ?? same]),
    ]),
  fc.tuple(nameOfHeader, fc.func(fc.boolean())).map(
    ([name, isCapital]): Bend =>
      headers =>
        headers.map(([each, value]) => [each === name ? inCases(each, isCapital) : each, value]),
  ),
  extraHeader.map((header): Bend => headers => [header, ...headers]),
);

function inCases(name: string, isCapital: (index: number) => boolean): string {
  return Array.from(name, (letter, index) =>
    isCapital(index) ? letter.toUpperCase() : letter.toLowerCase(),
  ).join('');
}

/** The value of a parameter as it stands in a path or a query: encoded as it should be, or hardly. */
function inTarget(values: fc.Arbitrary<unknown> | undefined): fc.Arbitrary<string> {
  const asText = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value));
  return fc.oneof(
    { arbitrary: (values ?? hostileText).map(asText), weight: 16 },
    { arbitrary: hostileText.map(text => encodeURIComponent(text.toWellFormed())), weight: 2 },
    { arbitrary: hostileText.map(text => everyByteEncoded(text)), weight: 1 },
  );
}

/** `/payments/{id}`, also of a path that goes on: whose id it is. */
function placeOf(name: string, { path }: Route): string {
  return path.slice(0, path.indexOf(`{${name}}`)) + `{${name}}`;
}

function everyByteEncoded(text: string): string {
  return Array.from(Buffer.from(text), byte => `%${byte.toString(16).padStart(2, '0')}`).join('');
}

/** Ways to write a path that are not the plain one. Whoever answers, nothing may be done without a word of it. */
const bentTarget: fc.Arbitrary<(target: string) => string> = fc.oneof(
  fc.constantFrom<(target: string) => string>(
    target => `/${target}`,
    target => `${target}/`,
    target => `/.${target}`,
    target => `/x/..${target}`,
    target => `/%2e%2e${target}`,
    target => target.replace(/\/([a-z])/, '%2F$1'),
    target => target.replace(/[a-z]/, letter => `%${letter.charCodeAt(0).toString(16)}`),
    target => target.toUpperCase(),
    target => `${target}%00`,
    target => `${target}%`,
    target => `${target}%zz`,
    target => `${target};a=b`,
    target => `${target}#a`,
    target => `http://{{host}}${target}`,
    target => target.slice(1),
    () => '*',
    () => '/',
    target => `${target}/${'x'.repeat(9_000)}`,
    target => `\\${target}`,
  ),
  rawBytes.map(bytes => (target: string) => target + bytes),
  hostileText.map(text => (target: string) => `${target}/${latin1(text)}`),
);

/** Once in so many times; else nothing. */
function seldom<T>(values: fc.Arbitrary<T>, times: number): fc.Arbitrary<T | null> {
  return fc.oneof({ arbitrary: fc.constant(null), weight: times - 1 }, { arbitrary: values, weight: 1 });
}

/** One request to one of the routes: sensible in most of its parts, hostile in some. */
export function requestTo(routes: readonly Route[]): fc.Arbitrary<FuzzRequest> {
  const heaviest = routes.flatMap(route => (route.body ? [route, route, route, route] : [route]));
  return fc.constantFrom(...heaviest).chain(route => {
    const named = (place: string) => route.parameters.filter(parameter => parameter.in === place);
    const queryPair = fc.tuple(
      fc.oneof(
        fc.constantFrom('limit', 'after', 'limit[]', '__proto__[polluted]', 'idempotency_key'),
        hostileText,
      ),
      inTarget(undefined),
    );
    const noBody = fc.constant<string | null>(null);
    const body: fc.Arbitrary<string | null> = fc.oneof(
      { arbitrary: route.body ? encoded(bodyFor(route.body)) : noBody, weight: 40 },
      { arbitrary: fc.oneof(noBody, encoded(hostileJson)), weight: 1 },
    );
    return fc
      .record({
        method: fc.oneof(
          { arbitrary: fc.constant(route.method), weight: 40 },
          {
            arbitrary: fc.constantFrom(
              'GET',
              'HEAD',
              'POST',
              'PUT',
              'PATCH',
              'DELETE',
              'OPTIONS',
              'TRACE',
              'QUERY',
              'get',
            ),
            weight: 1,
          },
        ),
        inPath: fc.tuple(
          ...named('path').map(({ name }) => inTarget(sensible[placeOf(name, route)] ?? sensible[name])),
        ),
        inQuery: fc.tuple(
          ...named('query').map(({ name }) =>
            fc
              .option(inTarget(sensible[name]))
              .map(value => (value === null ? [] : [[name, value] as const])),
          ),
        ),
        extraQuery: fc.oneof(
          { arbitrary: fc.constant<[string, string][]>([]), weight: 8 },
          { arbitrary: fc.array(queryPair, { maxLength: 3 }), weight: 1 },
        ),
        bentTarget: seldom(bentTarget, 14),
        body,
        isChunked: fc.boolean(),
        idempotencyKey: fc.option(idempotencyKey, { freq: 12 }),
        authorization,
        contentType,
        prefer: seldom(prefer, 3),
        bends: fc.oneof(
          { arbitrary: fc.constant<Bend[]>([]), weight: 8 },
          { arbitrary: fc.array(bend, { maxLength: 2 }), weight: 1 },
        ),
      })
      .map(parts => {
        let given = 0;
        const path = route.path.replace(/\{\w+\}/g, () => parts.inPath[given++] ?? '');
        const pairs = [...parts.inQuery.flat(), ...parts.extraQuery];
        const query = pairs
          .map(([name, value]) => `${encodeURIComponent(name.toWellFormed())}=${value}`)
          .join('&');
        const plain = latin1(query === '' ? path : `${path}?${query}`);
        const headers: [string, string][] = [
          ['Host', '{{host}}'],
          ['Authorization', parts.authorization],
          ...(parts.idempotencyKey === null
            ? []
            : [['Idempotency-Key', parts.idempotencyKey] as [string, string]]),
          ...(parts.body === null ? [] : [['Content-Type', parts.contentType] as [string, string]]),
          ...(parts.prefer === null ? [] : [['Prefer', parts.prefer] as [string, string]]),
        ];
        const request = {
          method: parts.method,
          target: parts.bentTarget ? parts.bentTarget(plain) : plain,
          headers: parts.bends.reduce((bent, each) => each(bent), headers),
          body: parts.body,
          isChunked: parts.isChunked,
        };
        const isPlain = request.method === route.method && isReadable(request) && !parts.bentTarget;
        // What the path says may be the end of it: nothing, dots, or a slash more than there should be.
        const isWhole = parts.inPath.every(value => /^[^/?#]+$/.test(value) && !/^\.+$/.test(value));
        return printable({ ...request, route: isPlain && isWhole ? route : null });
      });
  });
}

/** What found a bug is printed as something that can be sent again. */
function printable(request: FuzzRequest): FuzzRequest {
  return Object.assign(request, { [fc.toStringMethod]: () => toShell(request) });
}

/** Whether it is HTTP at all; what is not is refused before there is a request. */
function isReadable({ target, headers }: Pick<FuzzRequest, 'target' | 'headers'>): boolean {
  const hasHost = headers.filter(([name]) => name.toLowerCase() === 'host').length === 1;
  return (
    hasHost && /^[!-~]*$/.test(target) && headers.every(([, value]) => /^[\t -~\x80-\xff]*$/.test(value))
  );
}
