import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { acts } from '../../lab/prove/acts.js';
import { commandFor, readOptions, usage } from '../../lab/prove/options.js';
import { childrenOf } from '../support/killable-postgres.js';

const main = 'dist/lab/prove/main.js';

describe('the command line of a proof', () => {
  it.each([
    ['--seed x', '--seed x is no seed. It is a whole number from 0 to 2147483647.'],
    ['--seed -1', "Option '--seed' argument is ambiguous. npm run prove -- --help lists what there is."],
    ['--seed 1.5', '--seed 1.5 is no seed. It is a whole number from 0 to 2147483647.'],
    ['--seed 2147483648', '--seed 2147483648 is no seed. It is a whole number from 0 to 2147483647.'],
    ['--scale big', '--scale big does not exist. There are gate and long.'],
    ['--minutes 0', '--minutes 0 is no length. It is above 0 and at most 1440; 0.5 is half a minute.'],
    ['--minutes many', '--minutes many is no length. It is above 0 and at most 1440; 0.5 is half a minute.'],
    ['--act naps', expect.stringMatching(/^There is no act naps\. There are .*random-faults.*\.$/) as string],
    ['--json /nowhere/a.json', '--json /nowhere/a.json cannot be written. /nowhere is no folder.'],
    ['--markdown docs', '--markdown docs cannot be written. It is a folder; name a file in it.'],
    ['--speed 3', "Unknown option '--speed'. npm run prove -- --help lists what there is."],
    ['random-faults', expect.stringMatching(/^Unexpected argument 'random-faults'\. /) as string],
  ])('refuses %s in a sentence, and says what there is', (line, message) => {
    expect(() => readOptions(line.split(' '), acts)).toThrow(expect.objectContaining({ message }) as Error);
  });

  it('draws a seed where none is said, and takes all acts at the scale of the gate', () => {
    const { seed, ...rest } = readOptions([], acts);
    expect(seed).toBeGreaterThanOrEqual(0);
    expect(rest).toMatchObject({ scale: 'gate', minutes: undefined, acts });
  });

  it('takes an act as its name is, and with hyphens', () => {
    for (const name of ['random faults', 'random-faults']) {
      expect(readOptions(['--act', name], acts).acts.map(act => act.name)).toEqual(['random-faults']);
    }
  });

  it('says how one act is performed again, and that command can be read', () => {
    const options = readOptions('--seed 7 --scale long --minutes 3'.split(' '), acts);
    const [act] = options.acts.filter(({ name }) => name === 'random-faults');
    const command = commandFor(act as never, options);
    expect(command).toBe('npm run prove -- --seed 7 --act random-faults --scale long --minutes 3');
    const again = readOptions(command.split(' ').slice(4), acts);
    expect(again).toMatchObject({ seed: 7, scale: 'long', minutes: 3, acts: [act] });
  });

  it('begins its help with examples that can be typed', () => {
    const examples = usage(acts)
      .split('\n')
      .filter(line => line.startsWith('npm run prove'));
    expect(examples.length).toBeGreaterThan(3);
    for (const example of examples) {
      const args = (example.split(/ {2,}/)[0] ?? '').split(' ').slice(4);
      expect(() => readOptions(args, acts)).not.toThrow();
    }
  });

  it('ends with 2 where nothing could be run: no verdict', () => {
    const { status, stderr, stdout } = spawnSync(process.execPath, [main, '--act', 'naps'], {
      encoding: 'utf8',
    });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('There is no act naps.');
  });
});

describe('a proof that is stopped', () => {
  it('leaves no process and no file behind', async () => {
    const child = spawn(process.execPath, [main, '--act', 'random-faults', '--seed', '5', '--minutes', '5'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    while (!/ {2}faults/.test(said) && child.exitCode === null) await sleep(100);
    const performing = childrenOf(child.pid ?? 0);
    const children = [...performing, ...performing.flatMap(childrenOf)];
    expect(children.length).toBeGreaterThan(5);
    // Frozen, as some are in the middle of a run: it would hear of nothing but a kill.
    process.kill(
      children.slice(performing.length).find(pid => isNamed(pid, 'MainThread') || isNamed(pid, 'node')) ?? 0,
      'SIGSTOP',
    );
    const folder = folderOf(children);
    expect(existsSync(folder)).toBe(true);

    child.kill('SIGINT');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(130);
    for (let tries = 0; tries < 100 && children.some(isThere); tries += 1) await sleep(50);
    expect(children.filter(isThere)).toEqual([]);
    expect(existsSync(folder)).toBe(false);
  }, 120_000);
});

/** What the kernel says of a process; nothing of one that has ended since it was found. */
function read(pid: number, what: 'cmdline' | 'comm'): string {
  try {
    return readFileSync(`/proc/${pid}/${what}`, 'utf8');
  } catch {
    return '';
  }
}

/** Where its PostgreSQL lives, by that server's own command line. */
function folderOf(pids: readonly number[]): string {
  const lines = pids.map(pid => read(pid, 'cmdline'));
  return /[^\0]*paysam-proof-\w+/.exec(lines.find(line => line.includes('paysam-killable')) ?? '')?.[0] ?? '';
}

function isNamed(pid: number, name: string): boolean {
  return read(pid, 'comm').trim() === name;
}

function isThere(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}
