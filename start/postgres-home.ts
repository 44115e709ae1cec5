import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Refusal } from './refusal.js';

/** The system user that PostgreSQL runs as, where it is not the one who started us. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/** Where the built-in PostgreSQL keeps everything it has. */
export interface PostgresHome {
  folder: string;
  cluster: string;
  /** Of the owner, who migrates. */
  passwordFile: string;
  /** Of the role that API and workers run as. */
  apiPasswordFile: string;
  log: string;
  /** Set when we are root: PostgreSQL refuses to run as root. */
  account: Account | undefined;
}

/** Lies in every home. Only a folder that holds this very text is ever deleted. */
const marker = 'Made by `npm start` of Pay Sam. `npm run reset` deletes this folder.\n';

/**
 * Finds the home that belongs to `dataDir`, whether or not it has been made yet. As a rule it is a folder in
 * there. For root it may have to be elsewhere: PostgreSQL then runs as another user, who cannot enter root's
 * own folders. That place follows from the path alone, so that the next start, and `reset`, find it again.
 */
export function findHome(dataDir: string): PostgresHome {
  const path = existsSync(dataDir) ? realpathSync(dataDir) : dataDir;
  const inside = join(path, 'postgres');
  if (process.getuid?.() !== 0) return homeIn(inside, undefined);

  const name = createHash('sha256').update(path).digest('hex').slice(0, 12);
  const outside = `/var/lib/pay-sam-${name}`;
  const existing = [outside, inside].find(isHome);
  const account = ownerOf(existing) ?? systemAccount('postgres') ?? systemAccount('nobody');
  if (!account) {
    throw new Refusal(
      'PostgreSQL refuses to run as root, and this system has no user "postgres" or "nobody" to run it as.',
      'Start as another user, or set DATABASE_URL.',
    );
  }
  return homeIn(existing ?? (canEnter(path, account) ? inside : outside), account);
}

function homeIn(folder: string, account: Account | undefined): PostgresHome {
  return {
    folder,
    cluster: join(folder, 'data'),
    passwordFile: join(folder, 'password'),
    apiPasswordFile: join(folder, 'api-password'),
    log: join(folder, 'postgres.log'),
    account,
  };
}

export function makeHome(home: PostgresHome): void {
  if (isHome(home.folder)) return;
  mkdirSync(home.folder, { mode: 0o700 });
  writeFileSync(join(home.folder, 'README.txt'), marker);
  giveTo(home.account, home.folder);
}

export function isHome(folder: string): boolean {
  const file = join(folder, 'README.txt');
  return existsSync(file) && readFileSync(file, 'utf8') === marker;
}

export function deleteHome(home: PostgresHome): void {
  if (isHome(home.folder)) rmSync(home.folder, { recursive: true });
}

export function giveTo(account: Account | undefined, path: string): void {
  if (account) chownSync(path, account.uid, account.gid);
}

/** Whether `account` may pass through every folder down to `path`, which takes the x of each of them. */
export function canEnter(path: string, account: Account): boolean {
  for (let folder = existsSync(path) ? realpathSync(path) : path; ; folder = dirname(folder)) {
    if (existsSync(folder)) {
      const { mode, uid, gid } = statSync(folder);
      const rights = uid === account.uid ? mode >> 6 : gid === account.gid ? mode >> 3 : mode;
      if ((rights & 1) === 0) return false;
    }
    if (folder === dirname(folder)) return true;
  }
}

/** A home that was made before, by whatever user, stays with that user. */
function ownerOf(folder: string | undefined): Account | undefined {
  if (folder === undefined) return undefined;
  const { uid, gid } = statSync(folder);
  return uid === 0 ? undefined : { name: ask('-un', String(uid)) || String(uid), uid, gid };
}

function systemAccount(name: string): Account | undefined {
  const uid = Number(ask('-u', name));
  const gid = Number(ask('-g', name));
  return uid > 0 && gid > 0 ? { name, uid, gid } : undefined;
}

/** Node cannot look a user up by name. */
function ask(flag: string, user: string): string {
  return spawnSync('id', [flag, user], { encoding: 'utf8' }).stdout.trim();
}
