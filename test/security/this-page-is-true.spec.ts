import { existsSync, readFileSync } from 'node:fs';
import { Settings } from '../../src/settings.js';
import { bootApi } from '../support/api.js';
import { createDatabase } from '../support/database.js';
import { routesOf } from './routes.js';

const page = readFileSync('docs/security.md', 'utf8');

/** Each threat by its id, with all that is said about it. */
const threats = new Map(
  page
    .split(/^#{2,3} /m)
    .filter(section => /^S\d\d /.test(section))
    .map(section => [section.slice(0, 3), section] as const),
);

/** Prettier may break a line within the text of a link. */
const links = [...page.matchAll(/\[([^\]]+)\]\(\.\.\/([^)]+)\)/g)].map(
  ([, text = '', file = '']): [string, string] => [text.replaceAll(/\s+/g, ' ').replaceAll('\\', ''), file],
);

describe('docs/security.md is true', () => {
  it.each(links)('“%s” is in %s', (text, file) => {
    expect(existsSync(file)).toBe(true);
    const source = readFileSync(file, 'utf8').replaceAll(/\s+/g, ' ');
    // A title, or the name of a case, stands between quotes.
    const spellings = file.endsWith('.spec.ts') ? ["'", '"', '`'].map(quote => quote + text + quote) : [text];
    expect(spellings.filter(each => source.includes(each))).not.toEqual([]);
  });

  it('tells of each threat what stands in its way, and what shows it; or why nothing does', () => {
    const ids = Array.from({ length: 47 }, (_, index) => `S${String(index + 1).padStart(2, '0')}`);
    expect([...threats.keys()]).toEqual(ids);
    for (const [id, section] of threats) {
      const [title = '', control = '', evidence = ''] = section.trim().split(/\n\n+/);
      expect([id, title.length > 10, control.length > 5]).toEqual([id, true, true]);
      expect([id, evidence]).toEqual([
        id,
        expect.stringMatching(/^(Shown by: \[|By construction: |Not built here: )/),
      ]);
    }
  });

  it('has no row of a table without a threat that exists, a test, or a sentence', () => {
    const rows = page.split('\n').filter(line => /^\| (API)?\d/.test(line));
    expect(rows.length).toBeGreaterThan(50);
    for (const row of rows) {
      const cells = row.split(/(?<!\\)\|/).map(cell => cell.trim());
      const where = cells.at(-2) ?? '';
      expect([row, where.length > 2]).toEqual([row, true]);
      const named = where.match(/\bS\d\d\b/g) ?? [];
      expect([row, named.filter(id => !threats.has(id))]).toEqual([row, []]);
      const hasEvidence = named.length > 0 || where.includes('](') || where.split(' ').length > 5;
      expect([row, hasEvidence]).toEqual([row, true]);
    }
  });

  it('names each route that needs a scope, with the scope that it needs', async () => {
    const database = await createDatabase();
    const api = await bootApi(database.url);
    const closed = routesOf(api)
      .filter(({ needs }) => needs !== 'none')
      .map(({ method, path, needs }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')} ${String(needs)}`);
    const written = [...page.matchAll(/^\| `([^`]+)` +\| `(read|pay)` /gm)].map(
      ([, route = '', needs = '']) => `${route} ${needs}`,
    );
    expect(written.sort()).toEqual(closed.sort());
    await api.stop();
    await database.drop();
  });

  it('no route and no setting of a relay is here yet: S35 and S36 are due with it', async () => {
    const database = await createDatabase();
    const api = await bootApi(database.url);
    const names = [...routesOf(api).map(({ path }) => path), ...Object.keys(new Settings())];
    expect(names.filter(name => /webhook|relay|callback|endpoint/i.test(name))).toEqual([]);
    // Addresses that this service calls: the operator's own, and no others.
    expect(names.filter(name => /url$/i.test(name))).toEqual(['databaseUrl', 'bankUrl']);
    await api.stop();
    await database.drop();
  });
});
