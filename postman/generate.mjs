// Makes the Postman collection: every call from docs/openapi.json, and the scenarios from scenarios.mjs.
// With --check nothing is written, and the exit code tells whether the committed files are up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import converter from 'openapi-to-postmanv2';
import { scenarios } from './scenarios.mjs';

const folder = import.meta.dirname;
const document = JSON.parse(readFileSync(join(folder, '../docs/openapi.json'), 'utf8'));

const files = {
  'pay-sam.postman_collection.json': await collection(),
  'pay-sam.postman_environment.json': {
    name: 'Pay Sam, quick start',
    values: Object.entries({
      baseUrl: 'http://localhost:3000',
      apiKey: 'sk_demo_alice',
      bobApiKey: 'sk_demo_bob',
      samApiKey: 'sk_demo_sam',
    }).map(([key, value]) => ({ key, value, type: 'default', enabled: true })),
    _postman_variable_scope: 'environment',
  },
};

for (const [name, content] of Object.entries(files)) {
  const path = join(folder, name);
  const text = `${JSON.stringify(content, null, 2)}\n`;
  if (!process.argv.includes('--check')) writeFileSync(path, text);
  else if (readFileSync(path, 'utf8') !== text) {
    console.error(`postman/${name} is not what the document says. Run "npm run docs:postman" to update it.`);
    process.exitCode = 1;
  }
}

async function collection() {
  const { result, reason, output } = await promisify(converter.convertV2)(
    { type: 'json', data: document },
    {
      folderStrategy: 'Tags',
      parametersResolution: 'Example',
      alwaysInheritAuthentication: true,
      includeAuthInfoInExample: false,
    },
  );
  if (!result) throw new Error(`docs/openapi.json could not be converted: ${reason}`);
  const [{ data }] = output;
  return {
    info: {
      name: 'Pay Sam',
      description: data.info.description.content ?? data.info.description,
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    auth: bearer('{{apiKey}}'),
    // For whoever begins with a single call.
    event: [
      script('prerequest', () => {
        for (const name of ['key', 'refundKey']) {
          if (pm.collectionVariables.get(name)) continue;
          pm.collectionVariables.set(name, pm.variables.replaceIn('{{$guid}}'));
        }
      }),
    ],
    item: [
      { name: 'Scenarios', item: scenarios.map(toFolder) },
      { name: 'Every call', item: data.item.map(reshape) },
    ],
    variable: ['key', 'refundKey', 'balance', 'firstAnswer', 'paymentId'].map(key => ({ key, value: '' })),
  };
}

function toFolder({ name, description, steps }) {
  return { name, description, item: steps.map(toItem) };
}

function toItem({ name, method, path, headers = {}, body, apiKey, test }) {
  const all = { ...(body && { 'Content-Type': 'application/json' }), ...headers };
  return {
    name,
    event: [script('test', test)],
    request: {
      method,
      header: Object.entries(all).map(([key, value]) => ({ key, value })),
      ...(body && { body: { mode: 'raw', raw: JSON.stringify(body, null, 2) } }),
      url: { raw: `{{baseUrl}}${path}`, host: ['{{baseUrl}}'], path: path.slice(1).split('/') },
      ...(apiKey && { auth: bearer(apiKey) }),
    },
  };
}

/** What a function says, without its head and its indentation: Postman keeps scripts as lines. */
function script(listen, run) {
  const [, block, expression] = /^\(\) =>\s*(?:\{\n(.*)\n\s*\}|(.*))$/s.exec(run.toString());
  const lines = (block ?? expression).split('\n');
  const indents = lines.filter(line => line.trim() !== '').map(line => line.search(/\S/));
  const indent = block ? Math.min(...indents) : 0;
  return { listen, script: { type: 'text/javascript', exec: lines.map(line => line.slice(indent)) } };
}

/** The converter's own item, made to work at once, and the same at each run. */
function reshape(item) {
  if (item.item) return { name: item.name, item: item.item.map(reshape) };
  const { method, header = [], body, url, auth } = item.request;
  const isRefund = url.path.at(-1) === 'refunds';
  const values = { key: '{{key}}', id: url.path[0] === 'accounts' ? 'alice' : '{{paymentId}}' };
  return {
    name: item.name,
    request: {
      method,
      description: item.request.description?.content ?? '',
      header: header.map(({ key, value }) => ({
        key,
        value: key === 'Idempotency-Key' ? (isRefund ? '{{refundKey}}' : '{{key}}') : value,
        // Postman would send what the document merely offers.
        ...(key === 'Prefer' && { disabled: true, value: 'respond-async' }),
      })),
      ...(body?.mode === 'raw' && { body: { mode: 'raw', raw: body.raw, options: body.options } }),
      url: {
        raw: `{{baseUrl}}/${url.path.join('/')}`,
        host: ['{{baseUrl}}'],
        path: url.path,
        query: (url.query ?? []).map(({ key }) => ({
          key,
          value: key === 'limit' ? '20' : '',
          disabled: true,
        })),
        variable: (url.variable ?? []).map(({ key, value }) => ({ key, value: values[key] ?? value })),
      },
      ...(auth?.type === 'noauth' && { auth }),
    },
  };
}

function bearer(token) {
  return { type: 'bearer', bearer: [{ key: 'token', value: token, type: 'string' }] };
}
