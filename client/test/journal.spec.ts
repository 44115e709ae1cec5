import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { DirectorySync } from '../src/journal/directory-sync.js';
import { FileJournal } from '../src/journal/file-journal.js';
import { NotJournaled, type Entry, type Journal } from '../src/journal/journal.js';
import { MemoryJournal } from '../src/journal/memory-journal.js';

const run = promisify(execFile);
const child = (name: string) => join('client/test/support', name);

function entry(key: string, rest: Partial<Entry> = {}): Entry {
  return {
    key,
    operation: 'payment',
    path: '/payments',
    body: '{"to":"sam","amount":10000,"currency":"GBP"}',
    sender: 'https://pay.example#0123456789abcdef0123456789abcdef',
    writtenAt: '2026-05-04T12:00:00.000Z',
    ...rest,
  };
}

/** By the format's own description, not by the code that writes it. */
function fileOf(key: string): string {
  return `${createHash('sha256').update(key).digest('hex')}.json`;
}

let home: string;
let directory: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'journal-'));
  directory = join(home, 'journal');
});

afterEach(() => rm(home, { recursive: true, force: true }));

describe.each<[string, () => Journal]>([
  ['in files', () => FileJournal.at(directory)],
  ['in memory', () => new MemoryJournal()],
])('a journal %s', (_, begin) => {
  let journal: Journal;

  beforeEach(() => (journal = begin()));

  it('knows nothing at first, and forgets without complaint what it never knew', async () => {
    expect(await journal.unfinished()).toEqual([]);
    await journal.close('never-seen');
    expect(await journal.unfinished()).toEqual([]);
  });

  it('finds what was opened and not closed, oldest first, to the letter', async () => {
    const refund = entry('../../etc/passwd', {
      operation: 'refund',
      path: '/payments/0199/refunds',
      body: '{"amount": 1,\n "reference":"caf\u00e9 \ud83c\udf0d \\u0000"}',
      writtenAt: '2026-05-04T11:59:59.999Z',
    });
    const long = entry('~'.repeat(255), { writtenAt: '2026-05-04T12:00:00.001Z' });
    const [second, first] = [entry('b'), entry('a')];
    for (const each of [long, second, refund, first, entry('done')])
      expect(await journal.open(each)).toBe(true);
    await journal.close('done');

    expect(await journal.unfinished()).toEqual([refund, first, second, long]);
  });

  it('keeps the entry that was first: what it says may have been sent', async () => {
    await journal.open(entry('order-17'));
    expect(
      await journal.open(entry('order-17', { body: '{"amount":2}', writtenAt: '2027-01-01T00:00:00.000Z' })),
    ).toBe(false);
    expect(await journal.unfinished()).toEqual([entry('order-17')]);

    await journal.close('order-17');
    expect(await journal.open(entry('order-17', { body: '{"amount":2}' }))).toBe(true);
  });

  it('lets the one who wrote an entry withdraw it, unless somebody has adopted it meanwhile', async () => {
    for (const key of ['mine', 'adopted', 'opened again']) await journal.open(entry(key));
    expect([await journal.adopt('adopted'), await journal.adopt('adopted')]).toEqual([true, true]);
    await journal.open(entry('opened again'));

    const withdrawn = ['mine', 'adopted', 'opened again', 'never seen'].map(key => journal.withdraw(key));
    expect(await Promise.all(withdrawn)).toEqual([true, false, false, false]);
    expect((await journal.unfinished()).map(({ key }) => key)).toEqual(['adopted', 'opened again']);
    expect([await journal.adopt('mine'), await journal.adopt('never seen')]).toEqual([false, false]);

    await journal.close('adopted');
    expect([await journal.adopt('adopted'), await journal.withdraw('adopted')]).toEqual([false, false]);
    expect(await journal.open(entry('adopted'))).toBe(true);
    expect(await journal.withdraw('adopted')).toBe(true);
  });

  it('of an adoption and a withdrawal at the same moment, lets one succeed at most', async () => {
    for (let round = 0; round < 50; round += 1) {
      const key = `key-${round}`;
      await journal.open(entry(key));
      const [isAdopted, isWithdrawn] = await Promise.all([journal.adopt(key), journal.withdraw(key)]);
      expect(isAdopted && isWithdrawn).toBe(false);
      expect((await journal.unfinished()).length).toBe(isWithdrawn ? 0 : 1);
      await journal.close(key);
    }
  });

  it("will not take one customer's key for another's", async () => {
    await journal.open(entry('order-17'));
    const other = journal.open(entry('order-17', { sender: 'https://pay.example#another' }));
    await expect(other).rejects.toThrow(NotJournaled);
    await expect(other).rejects.toThrow('unfinished entry with the key order-17 for another customer');
    expect(await journal.unfinished()).toEqual([entry('order-17')]);
  });
});

describe('any history of payments', () => {
  type Step = { open: boolean; key: string; process: number };
  const steps = fc.array(
    fc.record<Step>({
      open: fc.boolean(),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'A', '"', '\\'),
      process: fc.nat(2),
    }),
    { maxLength: 40 },
  );

  it('leaves exactly what a map would hold, also with three processes at one directory', async () => {
    let histories = 0;
    await fc.assert(
      fc.asyncProperty(steps, async history => {
        const shared = join(home, String((histories += 1)));
        const journals = [0, 1, 2].map(() => FileJournal.at(shared));
        const map = new Map<string, Entry>();
        for (const [at, { open, key, process }] of history.entries()) {
          const journal = journals[process] as Journal;
          if (!open) {
            await journal.close(key);
            map.delete(key);
            continue;
          }
          const next = entry(key, { body: String(at) });
          expect(await journal.open(next)).toBe(!map.has(key));
          if (!map.has(key)) map.set(key, next);
        }
        const inOrder = [...map.values()].sort((one, other) => (one.key < other.key ? -1 : 1));
        for (const journal of journals) expect(await journal.unfinished()).toEqual(inOrder);
        const names = await readdir(shared).catch(() => []);
        expect(names.filter(name => name.endsWith('.json')).sort()).toEqual(
          [...map.keys()].map(fileOf).sort(),
        );
      }),
      { numRuns: 40 },
    );
  });
});

describe('a directory of entries', () => {
  it('is found by the next process', async () => {
    await FileJournal.at(directory).open(entry('order-17'));
    expect(await FileJournal.at(directory).unfinished()).toEqual([entry('order-17')]);
  });

  it('says on each file which version wrote it, and what is to be sent', async () => {
    await FileJournal.at(directory).open(entry('order-17'));
    const text = await readFile(join(directory, fileOf('order-17')), 'utf8');
    expect(JSON.parse(text)).toEqual({ version: 1, ...entry('order-17') });
  });

  it('is for its owner alone, and made with all that leads to it', async () => {
    if (process.platform === 'win32') return;
    const deep = join(home, 'not', 'there', 'yet');
    await FileJournal.at(deep).open(entry('order-17'));

    const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
    expect(await modeOf(deep)).toBe('700');
    expect(await modeOf(join(deep, fileOf('order-17')))).toBe('600');
  });

  it('takes a thousand at once', async () => {
    const journal = FileJournal.at(directory);
    const keys = Array.from({ length: 1_000 }, (_, index) => `key-${String(index).padStart(3, '0')}`);
    expect(new Set(await Promise.all(keys.map(key => journal.open(entry(key)))))).toEqual(new Set([true]));
    expect((await FileJournal.at(directory).unfinished()).map(({ key }) => key)).toEqual(keys);

    await Promise.all(keys.map(key => journal.close(key)));
    expect(await readdir(directory)).toEqual([]);
  });

  it('of one key, takes one of a hundred at once', async () => {
    const journals = [FileJournal.at(directory), FileJournal.at(directory)];
    const news = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        (journals[index % 2] as Journal).open(entry('order-17', { body: String(index) })),
      ),
    );
    expect(news.filter(isNew => isNew)).toHaveLength(1);
    expect((await readdir(directory)).filter(name => name.endsWith('.json'))).toEqual([fileOf('order-17')]);
    const [found] = await FileJournal.at(directory).unfinished();
    expect(found?.body).toBe(String(news.indexOf(true)));
  });

  it('reports what it cannot read, finds the others, and deletes nothing', async () => {
    const journal = FileJournal.at(directory);
    for (const key of ['good', 'half', 'copied']) await journal.open(entry(key));
    const text = await readFile(join(directory, fileOf('half')), 'utf8');
    const plant = async (name: string, content: string) => {
      await writeFile(join(directory, name), content);
      return join(directory, name);
    };
    const whole = { version: 1, ...entry('x') };
    const damaged = [
      await plant(fileOf('half'), text.slice(0, text.length / 2)),
      await plant(fileOf('empty'), ''),
      await plant(fileOf('null'), 'null'),
      await plant(fileOf('list'), '[]'),
      await plant(fileOf('no version'), JSON.stringify(entry('no version'))),
      await plant(fileOf('old'), JSON.stringify({ ...whole, key: 'old', version: 0 })),
      await plant(fileOf('other'), JSON.stringify({ ...whole, key: 'other', operation: 'transfer' })),
      ...(await Promise.all(
        Object.keys(entry('x')).map(member =>
          plant(
            fileOf(`without ${member}`),
            JSON.stringify({ ...whole, key: `without ${member}`, [member]: 1 }),
          ),
        ),
      )),
      await plant(fileOf('not its name'), JSON.stringify(whole)),
    ];
    const newer = await plant(fileOf('newer'), JSON.stringify({ version: 2, how: 'nobody knows' }));
    const foreign = [
      await plant('.DS_Store', ''),
      await plant('notes.txt', 'pay sam'),
      join(directory, 'Backup'),
    ];
    await mkdir(join(directory, 'Backup'));
    await copyFile(join(directory, fileOf('copied')), join(directory, `${fileOf('copied')}.bak`));
    foreign.push(join(directory, `${fileOf('copied')}.bak`));
    const inaccessible = join(directory, fileOf('directory'));
    await mkdir(inaccessible);

    const before = (await readdir(directory)).sort();
    const next = FileJournal.at(directory);
    expect((await next.unfinished()).map(({ key }) => key)).toEqual(['copied', 'good']);
    const byPath = (reports: { path: string }[]) =>
      reports.sort((one, other) => (one.path < other.path ? -1 : 1));
    expect(byPath(await next.unreadable())).toEqual(
      byPath([
        ...damaged.map(path => ({ path, why: 'damaged' })),
        { path: newer, why: 'newer_version' },
        ...foreign.map(path => ({ path, why: 'foreign' })),
        { path: inaccessible, why: 'inaccessible' },
      ]),
    );
    await next.open(entry('one more'));
    await next.close('one more');
    expect((await readdir(directory)).sort()).toEqual(before);
  });

  it('sends nothing under a key whose entry is damaged: it may have been sent before', async () => {
    const journal = FileJournal.at(directory);
    await journal.open(entry('order-17'));
    await writeFile(join(directory, fileOf('order-17')), '{"version":1,');
    await expect(journal.open(entry('order-17'))).rejects.toThrow('is damaged. Look at it first');
    expect(await readFile(join(directory, fileOf('order-17')), 'utf8')).toBe('{"version":1,');
  });

  it('clears away what a crash left half-written, once nobody can be writing it any more', async () => {
    const [old, young] = [
      '0b9f6a5e-0000-4000-8000-000000000001.tmp',
      '0b9f6a5e-0000-4000-8000-000000000002.tmp',
    ];
    await mkdir(directory);
    for (const name of [old, young]) await writeFile(join(directory, name), '{"versi');
    const aDayAgo = new Date(Date.now() - 86_400_000);
    await utimes(join(directory, old), aDayAgo, aDayAgo);

    const journal = FileJournal.at(directory);
    expect([await journal.unfinished(), await journal.unreadable()]).toEqual([[], []]);
    await journal.open(entry('order-17'));
    expect((await readdir(directory)).sort()).toEqual([young, fileOf('order-17')].sort());
  });
});

describe('a journal that cannot keep an entry says so, and where', () => {
  it('because it is a file', async () => {
    await writeFile(directory, 'not a directory');
    const opening = FileJournal.at(directory).open(entry('order-17'));
    await expect(opening).rejects.toThrow(NotJournaled);
    await expect(opening).rejects.toThrow(`The journal in ${directory} could not keep the entry`);
    await expect(FileJournal.at(directory).unfinished()).rejects.toThrow(directory);
  });

  it('because there is a file on the way to it, and tries again once that is gone', async () => {
    await writeFile(directory, 'not a directory');
    const journal = FileJournal.at(join(directory, 'below'));
    await expect(journal.open(entry('order-17'))).rejects.toThrow(NotJournaled);
    await rm(directory);
    expect(await journal.open(entry('order-17'))).toBe(true);
  });

  it('because it may not write there', async () => {
    if (process.platform === 'win32') return;
    await mkdir(directory);
    await chmod(home, 0o755);
    await chmod(directory, 0o555);
    const { stdout } = await run(process.execPath, [child('journal-until-full.mjs'), directory, 'nobody']);
    expect(JSON.parse(stdout)).toMatchObject({
      opened: 0,
      refusal: {
        name: 'NotJournaled',
        code: 'EACCES',
        message: expect.stringContaining(directory) as string,
      },
      files: 0,
    });
  });

  it('because the file cannot be written to its end', async () => {
    if (process.platform === 'win32') return;
    // A limit on the size of files fails in the middle of a write, and asks for no privileges.
    const told = await keepUntilFull('sh', ['-c', 'ulimit -f 4 && exec "$0" "$@"']);
    expect(told).toMatchObject({
      opened: 0,
      refusal: { name: 'NotJournaled', code: 'EFBIG' },
      found: [],
      files: 0,
    });
  });

  // A disk of 64 KiB in a namespace of its own. Where the system allows no such thing, the test above has to do.
  const mayMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', tmpdir()]).status === 0;
  (mayMount ? it : it.skip)(
    'because the disk is full: then all before are whole, and nothing is left of the one that did not fit',
    async () => {
      await mkdir(directory);
      const mount = `mount -t tmpfs -o size=64k none '${directory}' && exec "$0" "$@"`;
      const told = await keepUntilFull('unshare', ['-rm', 'sh', '-c', mount]);
      expect(told.opened).toBeGreaterThan(3);
      expect(told).toMatchObject({
        refusal: {
          name: 'NotJournaled',
          code: 'ENOSPC',
          message: expect.stringContaining(directory) as string,
        },
        files: told.opened,
        unreadable: [],
        goesOn: true,
      });
      expect(told.found).toEqual(Array.from({ length: told.opened }, (_, number) => `number-${number}`));
    },
  );

  async function keepUntilFull(command: string, args: string[]) {
    const { stdout } = await run(command, [
      ...args,
      process.execPath,
      child('journal-until-full.mjs'),
      directory,
    ]);
    return JSON.parse(stdout) as { opened: number; refusal: object; found: string[] };
  }
});

describe('what a crash may take', () => {
  it('is settled before anybody is told: content, then name, then the directory', async () => {
    const { stdout } = await run(process.execPath, [child('journal-order.mjs'), directory]);
    expect(stdout.trim().split('\n')).toEqual([
      'sync parent',
      'sync temporary',
      'link temporary entry',
      'unlink temporary',
      'sync directory',
      'opened',
      'unlink entry',
      'sync directory',
      'closed',
    ]);
  });

  it('is never an entry that was open, however often two processes at one directory are killed in the middle', async () => {
    const said = new Map<string, string>();
    for (let life = 0; life < 15; life += 1) {
      await Promise.all(['a', 'b'].map(name => writeAndDie(`${name}${life}`, said)));

      const journal = FileJournal.at(directory);
      const found = new Set((await journal.unfinished()).map(({ key }) => key));
      expect(await journal.unreadable()).toEqual([]);
      const opened = [...said].filter(([, last]) => last === 'opened').map(([key]) => key);
      expect(opened.filter(key => !found.has(key))).toEqual([]);
      const closed = [...said].filter(([, last]) => last === 'closed').map(([key]) => key);
      expect(closed.filter(key => found.has(key))).toEqual([]);
      for (const each of await journal.unfinished()) {
        const body = JSON.parse(each.body) as { reference: string };
        expect(body.reference).toBe(each.key.repeat(2_000));
      }
    }
    const [opened, closed] = ['opened', 'closed'].map(
      last => [...said.values()].filter(each => each === last).length,
    );
    expect(Math.min(opened ?? 0, closed ?? 0)).toBeGreaterThan(30);
    // Evidence that death came at bad moments: what was being written was found half-done, and not taken for an entry.
    const midway = (await readdir(directory)).filter(name => name.endsWith('.tmp')).length;
    expect(midway).toBeGreaterThan(0);
    console.log(
      `30 processes killed: ${said.size} entries, ${opened} left open, ${midway} caught half-written.`,
    );
  }, 120_000);

  async function writeAndDie(name: string, said: Map<string, string>): Promise<void> {
    const writer = spawn(process.execPath, [child('journal-writer.mjs'), directory, name, '4'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    writer.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(writer.stdout, 'data');
    await sleep(Math.random() * 150);
    writer.kill('SIGKILL');
    await once(writer, 'close');
    for (const line of output.split('\n').slice(0, -1)) {
      const [what = '', key = ''] = line.split(' ');
      said.set(key, what);
    }
  }
});

describe('a directory is synced', () => {
  it('once for all who came while the last sync ran, and never too early for one of them', async () => {
    const syncs: (() => void)[] = [];
    const names = new DirectorySync(() => new Promise(resolve => syncs.push(resolve)));
    const told: string[] = [];
    const come = (who: string) => names.sync().then(() => told.push(who));

    void come('first');
    await settled();
    const later = Array.from({ length: 1_000 }, (_, index) => come(`later ${index}`));
    await settled();
    expect(syncs).toHaveLength(1);
    syncs[0]?.();
    await settled();
    expect([told, syncs.length]).toEqual([['first'], 2]);
    syncs[1]?.();
    await Promise.all(later);
    expect(syncs).toHaveLength(2);
  });

  it('again for those who come after a sync that failed', async () => {
    let times = 0;
    const names = new DirectorySync(() =>
      (times += 1) === 1 ? Promise.reject(new Error('EIO')) : Promise.resolve(),
    );
    const [one, other] = [names.sync(), names.sync()];
    await expect(one).rejects.toThrow('EIO');
    await expect(other).rejects.toThrow('EIO');
    await expect(names.sync()).resolves.toBeUndefined();
    expect(times).toBe(2);
  });

  const settled = () => new Promise(resolve => setImmediate(resolve));
});
