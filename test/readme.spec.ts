import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { createDataSource } from '../src/data-source.js';
import { seedDemo } from '../start/seed.js';
import { bootApi, type Api } from './support/api.js';
import { createDatabase, type Database } from './support/database.js';

const readme = readFileSync('README.md', 'utf8');

/** Each command of the README with the answer printed below it. */
const examples = [...readme.matchAll(/```sh\n(.*curl .*)\n```\n\n```(http|json)\n([^`]*)```/g)].map(
  ([, command = '', kind, answer = '']) => ({ command, kind, answer }),
);

/** What differs from one run to the next, and from a UUID to another. */
function masked(text: string): string {
  return text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, '<id>')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .trim();
}

/** Without the stored answer, which the README shortens. */
function operation(text: string): object {
  return { ...(JSON.parse(masked(text)) as object), response: null };
}

describe('the README', () => {
  let database: Database;
  let api: Api;

  beforeAll(async () => {
    database = await createDatabase();
    const dataSource = await createDataSource({ databaseUrl: database.url }).initialize();
    await dataSource.transaction(seedDemo);
    await dataSource.destroy();
    api = await bootApi(database.url);
  });
  afterAll(async () => {
    await api.stop();
    await database.drop();
  });

  it('shows calls in an order in which they can be run', () => {
    expect(examples.map(({ kind }) => kind)).toEqual(['http', 'http', 'http', 'http', 'json']);
  });

  it.each(examples)('answers as it says: $command', async ({ command, kind, answer }) => {
    const { stdout } = await promisify(execFile)('sh', [
      '-c',
      command.replace('localhost:3000', api.url).replace('curl -i', 'curl -s -i'),
    ]);
    if (kind === 'json') {
      expect(operation(stdout)).toEqual(operation(answer));
      return;
    }
    const [head = '', body = ''] = answer.split('\n\n');
    const [actualHead = '', actualBody = ''] = stdout.replaceAll('\r', '').split('\n\n');
    for (const line of head.split('\n')) expect(actualHead.split('\n')).toContain(line);
    expect(masked(actualBody)).toBe(masked(body));
  });
});
