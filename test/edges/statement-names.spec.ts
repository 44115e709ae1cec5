import { readdirSync, readFileSync } from 'node:fs';

/** A statement as every file of ours writes it. */
const statement = /^ +name: '(\w+)',\n +text:/gm;

describe('prepared statements', () => {
  it('have names of their own: a connection that knows the name would refuse the other text', () => {
    const names = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter(file => file.endsWith('.ts'))
      .flatMap(file => [...readFileSync(`src/${file}`, 'utf8').matchAll(statement)].map(([, name]) => name));
    expect(names.length).toBeGreaterThan(25);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });
});
