import { readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

const root = 'client/src';

/** What a file, and everything it imports, imports; types included. */
async function importsOf(file: string, found = new Map<string, string[]>()): Promise<Map<string, string[]>> {
  if (found.has(file)) return found;
  const source = await readFile(file, 'utf8');
  const imports = [...source.matchAll(/\bfrom '([^']+)'|\bimport\(?\s*'([^']+)'/g)].map(
    ([, from, bare]) => from ?? bare ?? '',
  );
  found.set(file, imports);
  for (const name of imports) {
    if (name.startsWith('.')) await importsOf(join(dirname(file), name.replace(/\.js$/, '.ts')), found);
  }
  return found;
}

describe('the client', () => {
  it('needs nothing but the language, fetch and Web Crypto: no package, and nothing of Node’s', async () => {
    const graph = await importsOf(`${root}/client.ts`);
    const foreign = [...graph].flatMap(([file, names]) =>
      names.filter(name => !name.startsWith('.')).map(name => `${relative(root, file)}: ${name}`),
    );
    expect(foreign).toEqual([]);
    // It has looked at all of them.
    expect(graph.size).toBeGreaterThan(20);
    expect([...graph.keys()]).toContain(`${root}/policy/judge.ts`);
  });

  it('has no dependencies, and says so', async () => {
    const { dependencies, peerDependencies, optionalDependencies } = JSON.parse(
      await readFile('client/package.json', 'utf8'),
    ) as Record<string, unknown>;
    expect([dependencies, peerDependencies, optionalDependencies]).toEqual([undefined, undefined, undefined]);
  });

  it('touches no global of Node’s', async () => {
    const graph = await importsOf(`${root}/client.ts`);
    for (const file of graph.keys()) {
      const code = (await readFile(file, 'utf8')).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
      expect([file, /\b(process|Buffer|setImmediate|require|__dirname|global)\b[.(]/.exec(code)]).toEqual([
        file,
        null,
      ]);
    }
  });
});
