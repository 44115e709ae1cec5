import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ordinaryEnvironment, reset, start, stillRunning, stopCopies } from './support/copies.js';

afterAll(stopCopies);

describe('npm run reset', () => {
  let dataDir: string | undefined;

  beforeAll(async () => {
    const copy = await start('reset');
    await copy.says('Ready');
    await copy.stop();
    dataDir = copy.environment.DATA_DIR;
  });

  it('deletes nothing where nobody can be asked', () => {
    expect(reset(dataDir)).toEqual({
      status: 1,
      output: expect.stringMatching(/Nobody is there to ask/) as string,
    });
    expect(existsSync(join(String(dataDir), 'postgres', 'data'))).toBe(true);
  });

  it('asks on a terminal, and takes only yes for an answer', () => {
    // `script` gives the command a terminal; its own arguments differ from system to system.
    if (process.platform !== 'linux') return;
    const ask = (answer: string): string =>
      spawnSync('script', ['-qec', `'${process.execPath}' dist/start/reset.js`, '/dev/null'], {
        env: { ...ordinaryEnvironment(), DATA_DIR: dataDir },
        encoding: 'utf8',
        input: `${answer}\n`,
      }).stdout;

    expect(ask('no')).toMatch(/Delete all .*\? Type yes[^]*Nothing was deleted/);
    expect(existsSync(join(String(dataDir), 'postgres', 'data'))).toBe(true);
    expect(ask('yes')).toContain('begins anew');
    expect(existsSync(String(dataDir))).toBe(false);
  });

  it('with --force, ends a server that was left running, and deletes only what npm start has made', async () => {
    const killed = await start('reset');
    await killed.says('Ready');
    process.kill(killed.pid, 'SIGKILL');
    await killed.ends();
    writeFileSync(join(String(dataDir), 'diary.txt'), 'dear diary');

    expect(reset(dataDir, '--force')).toEqual({
      status: 0,
      output: expect.stringMatching(/^Deleted/) as string,
    });
    expect(readdirSync(String(dataDir))).toEqual(['diary.txt']);
    expect(stillRunning(dataDir)).toEqual([]);
  });

  it('does not touch a folder that it does not know', () => {
    mkdirSync(join(String(dataDir), 'postgres', 'data'), { recursive: true });
    expect(reset(dataDir, '--force').output).toContain('nothing to delete');
    expect(existsSync(join(String(dataDir), 'postgres', 'data'))).toBe(true);
  });
});
