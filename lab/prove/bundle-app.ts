import { execFile } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { build, stop, type Plugin } from 'esbuild';

const nodeModules = fileURLToPath(new URL('../../../node_modules', import.meta.url));

/** What is shipped: the same code as in `dist`, before it is bundled. */
const entryPoints = {
  main: fileURLToPath(import.meta.resolve('../../src/main.js')),
  worker: fileURLToPath(import.meta.resolve('../../src/worker.js')),
};

/** One says where its files are; the others are looked for by name as well, and must not be there twice. */
const stayOutside = ['swagger-ui-dist', 'typeorm', 'pg'];

/**
 * Puts the API and the worker, with all that they load, into a few files, and compiles these, once for all processes of a
 * run: looking for two thousand modules is nearly half of the work of a start, and a run starts thousands. Nothing is
 * minified, no code is replaced, names stay.
 *
 * Whoever starts an API or a worker from now on starts these: see test/support/api-process.ts.
 *
 * @param folder new, and there until the run ends
 */
export async function bundleApp(folder: string): Promise<void> {
  await build({
    entryPoints,
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    keepNames: true,
    // What CommonJS expects around it.
    banner: {
      js: `import { createRequire as requireFrom } from 'node:module';
const require = requireFrom(import.meta.url), __filename = import.meta.filename, __dirname = import.meta.dirname;`,
    },
    external: stayOutside,
    plugins: [whatIsMissing],
    logLevel: 'error',
  });
  // It has a process of its own, which is not needed any more.
  await stop();
  symlinkSync(nodeModules, join(folder, 'node_modules'), 'dir');
  process.env.APP_BUNDLE = folder;
  await compile(folder);
}

/** Drivers of other databases, say, which are looked for only when they are asked for. */
const whatIsMissing: Plugin = {
  name: 'what is not installed stays outside',
  setup(bundler) {
    bundler.onResolve({ filter: /^[^./]/ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === 'asked by ourselves') return undefined;
      const { errors, ...found } = await bundler.resolve(path, { ...from, pluginData: 'asked by ourselves' });
      return errors.length > 0 ? { path, external: true } : found;
    });
  },
};

/** Left to those who are started, several write the same files side by side, and stand still meanwhile. */
async function compile(folder: string): Promise<void> {
  const load = `await Promise.all(${JSON.stringify(Object.keys(entryPoints))}.map(name => import(\`${folder}/\${name}.mjs\`)))`;
  // What it has compiled is written when it ends.
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', load]);
}
