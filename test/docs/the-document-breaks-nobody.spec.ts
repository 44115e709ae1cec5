import { readFileSync } from 'node:fs';
import type { OpenAPIObject } from '@nestjs/swagger';
import type { Schema } from '../../src/docs/openapi-types.js';
import { openApiOfCode } from '../../src/docs/write-document.js';
import { breakingChanges } from './compare-documents.js';

const committed = JSON.parse(readFileSync('docs/openapi.json', 'utf8')) as OpenAPIObject;

const schema = (document: OpenAPIObject, name: string) =>
  document.components?.schemas?.[name] as Required<Schema>;
const member = (document: OpenAPIObject, of: string, name: string) =>
  schema(document, of).properties[name] as Schema;
const pay = (document: OpenAPIObject) =>
  document.paths['/payments']?.post as NonNullable<OpenAPIObject['paths'][string]['post']>;

describe('the document that callers build on', () => {
  it('is what the code says, and takes nothing away that was promised', async () => {
    const now = JSON.parse(JSON.stringify(await openApiOfCode())) as OpenAPIObject;
    const broken = breakingChanges(committed, now);
    if (broken.length > 0) {
      throw new Error(`Callers who keep to docs/openapi.json would be let down:\n- ${broken.join('\n- ')}`);
    }
    if (JSON.stringify(now) !== JSON.stringify(committed)) {
      throw new Error(
        'docs/openapi.json is not what the code says. Run "npm run docs:openapi" to update it.',
      );
    }
  });

  it('has the version of the package', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    expect(committed.info.version).toBe(version);
  });

  it.each<[what: string, change: (document: OpenAPIObject) => void, sentence: string]>([
    [
      'a path is gone',
      now => delete now.paths['/payments/{id}/refunds'],
      'POST /payments/{id}/refunds is gone.',
    ],
    ['an operation is gone', now => delete now.paths['/payments']?.get, 'GET /payments is gone.'],
    [
      'a status is gone',
      now => delete pay(now).responses['202'],
      'POST /payments does not answer 202 any more.',
    ],
    [
      'a header is gone',
      now => delete (pay(now).responses['202'] as { headers: Record<string, unknown> }).headers['Location'],
      'POST /payments, 202 does not carry Location any more.',
    ],
    [
      'a member of an answer is gone',
      now => delete schema(now, 'Payment').properties['refunded'],
      'POST /payments, 200 has no member "refunded" any more.',
    ],
    [
      'a member of an answer need not be there',
      now => void schema(now, 'Payment').required.shift(),
      'POST /payments, 200 may now lack the member "id".',
    ],
    [
      'a member of an answer can be null',
      now => (member(now, 'Payment', 'amount').nullable = true),
      'POST /payments, 200, amount can now be null.',
    ],
    [
      'a value is gone',
      now => (member(now, 'PaymentBody', 'rail').enum = ['bank', null]),
      'POST /payments, body, rail cannot be ledger any more.',
    ],
    [
      'a problem is gone',
      now => void member(now, 'Problem', 'code').enum?.shift(),
      'POST /payments, 400, code cannot be malformed_json any more.',
    ],
    [
      'a type is another',
      now => (member(now, 'Account', 'id').type = 'integer'),
      'GET /accounts/{id}, 200, id has another type: integer.',
    ],
    [
      'a body needs another member',
      now => schema(now, 'PaymentBody').required.push('reference'),
      'POST /payments, body now requires the member "reference".',
    ],
    [
      'a member that could be sent is gone',
      now => delete schema(now, 'PaymentBody').properties['reference'],
      'POST /payments, body has no member "reference" any more.',
    ],
    [
      'a header becomes required',
      now => ((now.components?.parameters?.['Prefer'] as { required?: boolean }).required = true),
      'POST /payments now requires header parameter Prefer.',
    ],
    [
      'a limit is lower',
      now => (member(now, 'PaymentBody', 'reference').maxLength = 100),
      'POST /payments, body, reference has a lower maxLength.',
    ],
    [
      'what was open needs a key',
      now => ((now.paths['/metrics']?.get as unknown as { 'x-scope': string })['x-scope'] = 'read'),
      'GET /metrics needs the scope "read".',
    ],
  ])('notices that %s', (_, change, sentence) => {
    const now = structuredClone(committed);
    change(now);
    expect(breakingChanges(committed, now)).toContain(sentence);
  });

  it('lets the document grow', () => {
    const now = structuredClone(committed);
    now.paths['/new'] = { get: pay(now) };
    pay(now).responses['418'] = { description: 'A teapot.' };
    schema(now, 'Payment').properties['memo'] = { type: 'string' };
    schema(now, 'Payment').required.push('memo');
    schema(now, 'PaymentBody').properties['memo'] = { type: 'string' };
    member(now, 'PaymentBody', 'reference').maxLength = 1_000;
    now.info.description = 'other words';
    expect(breakingChanges(committed, now)).toEqual([]);
  });
});
