import { randomUUID } from 'node:crypto';
import {
  access,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { DirectorySync, syncDirectory } from './directory-sync.js';
import { fileNameOf, isEntryName, isMarkName, readEntry, toText } from './entry-file.js';
import {
  NotJournaled,
  oldestFirst,
  takenByAnother,
  type Entry,
  type Journal,
  type Unreadable,
} from './journal.js';

/** No file is a minute in the making; whoever began one an hour ago has died over it. */
const leftoverAgeMs = 3_600_000;

/**
 * A directory with one file for each payment whose outcome is not known yet.
 *
 * An entry gets its name only once its content is safe on disk, so that whoever sees the name reads all of it: after a
 * crash, an entry is there whole or not at all. Many processes may share the directory without a lock, since all they
 * do is add a name, read, and take a name away; and if two of them send the same entry, it has the same key.
 *
 * What is written is what is sent: names and amounts, readable by its owner alone, and never an API key.
 * Remaining risk: it is as durable as the disk below. A network's file system may promise less, or know no links.
 */
export class FileJournal implements Journal {
  private readonly names: DirectorySync;
  private prepared: Promise<void> | undefined;

  private constructor(private readonly directory: string) {
    this.names = new DirectorySync(() => syncDirectory(directory));
  }

  /** @param directory made when the first entry is written, and its parents as well */
  static at(directory: string): FileJournal {
    return new FileJournal(resolve(directory));
  }

  async open(entry: Entry): Promise<boolean> {
    try {
      await this.prepare();
      return await this.add(entry);
    } catch (error) {
      if (error instanceof NotJournaled) throw error;
      throw new NotJournaled(
        `The journal in ${this.directory} could not keep the entry, and without it nothing is sent: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /**
   * The mark comes first, then a look whether the entry is still there; a withdrawal takes the entry away first, and then
   * looks for a mark. So of the two at most one succeeds. No power cut matters: it ends both sides.
   */
  async adopt(key: string): Promise<boolean> {
    const path = this.pathOf(key);
    // Otherwise a mark would be left of an entry that is long gone.
    if (!(await exists(path))) return false;
    await writeFile(markOf(path), '', { mode: 0o600 });
    return exists(path);
  }

  /** Durably: a payment that its caller was told is not done must not come back with the power. */
  async withdraw(key: string): Promise<boolean> {
    const path = this.pathOf(key);
    if (await exists(markOf(path))) return false;
    const aside = join(this.directory, `${randomUUID()}.tmp`);
    try {
      await rename(path, aside);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return false;
      throw error;
    }
    const isAdopted = await exists(markOf(path));
    if (isAdopted) await rename(aside, path);
    else await unlink(aside);
    await this.names.sync();
    return !isAdopted;
  }

  async close(key: string): Promise<void> {
    const path = this.pathOf(key);
    // In this order: a mark without an entry makes the next one cautious, an entry without its mark would not be.
    const wasThere = await removed(path);
    await removed(markOf(path));
    if (wasThere) await this.names.sync();
  }

  async unfinished(): Promise<Entry[]> {
    return (await this.read()).entries.sort(oldestFirst);
  }

  async unreadable(): Promise<Unreadable[]> {
    return (await this.read()).unreadable;
  }

  private async add(entry: Entry): Promise<boolean> {
    const path = this.pathOf(entry.key);
    const temporary = join(this.directory, `${randomUUID()}.tmp`);
    let isNew = false;
    try {
      await writeDurably(temporary, toText(entry));
      isNew = await this.addName(path, temporary, entry);
      await unlink(temporary);
      await this.names.sync();
      return isNew;
    } catch (error) {
      // The caller is told that nothing is sent: so nothing may be found later, and sent.
      await Promise.all([
        rm(temporary, { force: true }).catch(() => undefined),
        isNew && rm(path, { force: true }).catch(() => undefined),
      ]);
      throw error;
    }
  }

  /**
   * Links rather than renames, which would replace what is there: of two processes with one key, one comes first.
   *
   * @returns false where an earlier entry has the name, and keeps it
   */
  private async addName(path: string, temporary: string, entry: Entry): Promise<boolean> {
    try {
      await link(temporary, path);
      return true;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    const earlier = await readFound(path);
    if (typeof earlier === 'string' && earlier !== 'gone') {
      const what = earlier.replace('_', ' ');
      throw new Error(`${path} has the name of this key's entry, and is ${what}. Look at it first.`);
    }
    if (earlier !== 'gone' && earlier.sender !== entry.sender) {
      throw takenByAnother(entry.key, `The journal in ${this.directory}`);
    }
    if (await this.adopt(entry.key)) return false;
    // Closed in this very moment.
    await link(temporary, path);
    return true;
  }

  private pathOf(key: string): string {
    return join(this.directory, fileNameOf(key));
  }

  /** Once for this object; again after it has failed. */
  private prepare(): Promise<void> {
    this.prepared ??= this.makeDirectory().catch((error: unknown) => {
      this.prepared = undefined;
      throw error;
    });
    return this.prepared;
  }

  private async makeDirectory(): Promise<void> {
    const firstMade = await mkdir(this.directory, { recursive: true, mode: 0o700 });
    if (firstMade === undefined) {
      // A leftover that will not go is in nobody's way.
      await this.sweep().catch(() => undefined);
      return;
    }
    // A new directory is a name in another one, and as easily lost.
    for (let made = this.directory; made.length >= firstMade.length; made = dirname(made)) {
      await syncDirectory(dirname(made));
    }
  }

  /** Throws leftovers of crashes away. Should a clock be wrong and one be in use, its call ends with nothing sent. */
  private async sweep(): Promise<void> {
    for (const name of await readdir(this.directory)) {
      if (!isTemporary(name)) continue;
      const path = join(this.directory, name);
      const age = await stat(path).then(
        ({ mtimeMs }) => Date.now() - mtimeMs,
        () => 0,
      );
      if (age > leftoverAgeMs) await rm(path, { force: true });
    }
  }

  /** One after the other: there may be more of them than a process may have files open. */
  private async read(): Promise<{ entries: Entry[]; unreadable: Unreadable[] }> {
    const entries: Entry[] = [];
    const unreadable: Unreadable[] = [];
    for (const name of await this.list()) {
      if (isTemporary(name) || isMarkName(name)) continue;
      const path = join(this.directory, name);
      const found = isEntryName(name) ? await readFound(path) : 'foreign';
      if (found === 'gone') continue;
      if (typeof found === 'string') unreadable.push({ path, why: found });
      else entries.push(found);
    }
    return { entries, unreadable };
  }

  private async list(): Promise<string[]> {
    try {
      return await readdir(this.directory);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Empty: that it is there says that somebody but its writer may send the entry. */
function markOf(path: string): string {
  return path.replace(/json$/, 'adopted');
}

/** @returns false where there was nothing to remove */
async function removed(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** `gone`: another process has closed it, as it may at any moment. */
async function readFound(path: string): Promise<Entry | Unreadable['why'] | 'gone'> {
  try {
    return readEntry(basename(path), await readFile(path, 'utf8'));
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'gone' : 'inaccessible';
  }
}

function isTemporary(name: string): boolean {
  return /^[0-9a-f-]{36}\.tmp$/.test(name);
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
