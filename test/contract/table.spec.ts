import { existsSync, readFileSync } from 'node:fs';
import { problems } from '../../src/http/problems.js';
import { titlesIn } from '../support/titles.js';

const page = readFileSync('docs/contract.md', 'utf8');
const [contract = '', table = ''] = page.split('## Sentence by sentence');

/** The cells of each row of a table in Markdown, the lines of its head left out. */
function rowsOf(markdown: string): string[][] {
  const lines = markdown.split('\n').filter(line => line.startsWith('|'));
  return lines.slice(2).map(line =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map(cell => cell.trim().replaceAll('\\|', '|')),
  );
}

const rows = rowsOf(table) as [section: string, sentence: string, file: string, title: string][];

describe('docs/contract.md', () => {
  it('says nothing without a test: no cell is empty, no sentence is there twice', () => {
    expect(rows.length).toBeGreaterThan(100);
    for (const row of rows) {
      expect(row).toHaveLength(4);
      expect(row).not.toContain('');
    }
    const sentences = rows.map(([section, sentence]) => `${section}: ${sentence}`);
    expect(sentences.filter((each, index) => sentences.indexOf(each) !== index)).toEqual([]);
  });

  it('names tests that exist: each file is there, and a test or a group in it has that very title', () => {
    for (const [, sentence, cell, title] of rows) {
      const [, file = ''] = /^`((?:test|src)\/[\w/.-]+\.spec\.ts)`$/.exec(cell) ?? [];
      expect([sentence, existsSync(file) && titlesIn(file).includes(title)]).toEqual([sentence, true]);
    }
  });

  it('has rows for each of its sections, in their order', () => {
    const headings = [...contract.matchAll(/^##? (.+)$/gm)].map(([, heading]) => heading);
    expect([...new Set(rows.map(([section]) => section))]).toEqual(headings);
  });

  it('lists the problems of the catalogue under their statuses, and no others', () => {
    const listed = [...contract.matchAll(/^\| (\d{3}) +\| ([^|]+?) +\|$/gm)].flatMap(
      ([, status, codes = '']) =>
        codes.split(' · ').map(code => [code.replaceAll('`', ''), Number(status)] as const),
    );
    const catalogue = Object.entries(problems).map(([code, { status }]) => [code, status]);
    expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(catalogue));
    expect(listed).toHaveLength(catalogue.length);
  });

  it('links nowhere that is not there', () => {
    for (const [, target = ''] of page.matchAll(/\]\(([^)#]+)/g)) {
      expect([target, existsSync(`docs/${target}`)]).toEqual([target, true]);
    }
  });
});
