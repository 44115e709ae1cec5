import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { setUpScene } from '../../test/support/scene.js';

const run = promisify(execFile);
const npm = (args: string[], cwd: string) =>
  run('npm', [...args, '--offline', '--no-audit', '--no-fund', '--ignore-scripts'], {
    cwd,
    shell: process.platform === 'win32',
    env: { ...process.env, npm_config_update_notifier: 'false' },
  });

/** What a customer writes who has read the README, as far as "first payment". */
const program = `
import { PaySam, OutcomeUnknown } from '@pay-sam/client';
import { FileJournal } from '@pay-sam/client/node';

const client = new PaySam({
  apiKey: process.env.API_KEY,
  baseUrl: process.env.BASE_URL,
  journal: FileJournal.at('unfinished-payments'),
});
await client.resume();
const { data, idempotencyKey } = await client.payments.create({ to: 'sam', amount: 100, currency: 'GBP' });
console.log(JSON.stringify({ status: data.status, isSame: data.idempotency_key === idempotencyKey, OutcomeUnknown: typeof OutcomeUnknown }));
`;

/** It compiles, or the declarations that were packed are wrong; and the line marked must not. */
const typed = `
import { PaySam, Declined, MemoryJournal, RetryBudget, type ClientEvent, type Journal, type Payment, type Result } from '@pay-sam/client';
import { FileJournal } from '@pay-sam/client/node';

const journals: Journal[] = [FileJournal.at('somewhere'), new MemoryJournal()];
const client = new PaySam({
  apiKey: 'sk', baseUrl: 'https://pay.example', journal: journals[0], budget: new RetryBudget(), backoff: { jitter: 'equal' },
  onEvent: (event: ClientEvent) => { if (event.type === 'exchange') console.log(event.exchange.kind, event.tookMs); },
});
export async function pay(): Promise<Payment | null> {
  try {
    const result: Result<Payment> = await client.payments.create({ to: 'sam', amount: 100, currency: 'GBP' });
    for await (const payment of client.payments.list()) console.log(payment.id);
    return result.data;
  } catch (error) {
    return error instanceof Declined ? error.payment : null;
  }
}
// @ts-expect-error an amount is a number
export const wrong = () => client.payments.create({ to: 'sam', amount: '100', currency: 'GBP' });
`;

describe('the package', () => {
  const scene = setUpScene();
  let folder: string;
  let installed: string;

  beforeAll(async () => {
    // Built and packed from a copy: other suites may be using, or building, what is in the tree.
    folder = await mkdtemp(join(tmpdir(), 'paysam-packed-'));
    const copy = join(folder, 'client');
    await cp('client', copy, {
      recursive: true,
      filter: path => !/[\\\\/](dist|node_modules|test)$/.test(path),
    });
    const tsc = [
      resolve('node_modules/typescript/bin/tsc'),
      '-p',
      copy,
      '--typeRoots',
      resolve('node_modules/@types'),
    ];
    await run(process.execPath, tsc);
    const { stdout } = await npm(['pack', '--json'], copy);
    const [{ filename = '' } = {}] = Object.values(JSON.parse(stdout) as { filename?: string }[]);
    installed = join(folder, 'customer');
    await mkdir(installed);
    await writeFile(join(installed, 'package.json'), '{ "type": "module", "private": true }');
    await npm(['install', join(copy, filename)], installed);
  }, 120_000);
  afterAll(() => rm(folder, { recursive: true }));

  it('holds what is needed, with nothing beside it, and neither tests nor the storm', async () => {
    expect(await readdir(join(installed, 'node_modules'))).toEqual(
      expect.arrayContaining(['.bin', '.package-lock.json', '@pay-sam']),
    );
    expect(await readdir(join(installed, 'node_modules'))).toHaveLength(3);
    const files = await readdir(join(installed, 'node_modules/@pay-sam/client'), { recursive: true });
    expect(files).toEqual(expect.arrayContaining(['README.md', 'package.json', join('bin', 'paysam.js')]));
    expect(files.filter(file => /spec|storm|\btest\b|tsconfig/.test(file))).toEqual([]);
  });

  it('exports only what is there', async () => {
    const home = join(installed, 'node_modules/@pay-sam/client');
    const { exports, bin } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as {
      exports: Record<string, Record<string, string>>;
      bin: Record<string, string>;
    };
    const paths = [...Object.values(exports).flatMap(target => Object.values(target)), ...Object.values(bin)];
    expect(paths.filter(path => !existsSync(join(home, path)))).toEqual([]);
  });

  it('pays, from an empty folder, in every Node that is here', async () => {
    await writeFile(join(installed, 'pay.js'), program);
    const { url } = await scene.start();
    const others = ['/usr/bin/node', '/usr/local/bin/node'].filter(existsSync);
    for (const node of [process.execPath, ...others]) {
      const { stdout } = await run(node, ['pay.js'], {
        cwd: installed,
        env: { ...process.env, API_KEY: scene.alice.apiKey, BASE_URL: url },
      });
      expect([node, JSON.parse(stdout)]).toEqual([
        node,
        { status: 'succeeded', isSame: true, OutcomeUnknown: 'function' },
      ]);
      expect(await readdir(join(installed, 'unfinished-payments'))).toEqual([]);
    }
  }, 60_000);

  it('has types that a strict compiler takes', async () => {
    await writeFile(join(installed, 'typed.ts'), typed);
    const tsc = resolve('node_modules/typescript/bin/tsc');
    const options = [
      '--strict',
      '--noEmit',
      '--target',
      'es2022',
      '--module',
      'nodenext',
      '--lib',
      'es2023,dom',
    ];
    const types = ['--types', 'node', '--typeRoots', resolve('node_modules/@types')];
    const { stdout } = await run(process.execPath, [tsc, ...options, ...types, 'typed.ts'], {
      cwd: installed,
    }).catch((error: unknown) => error as { stdout: string });
    expect(stdout).toBe('');
    expect(dirname(installed)).toBe(folder);
  }, 60_000);
});
