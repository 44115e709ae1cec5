import { MigrationRefused } from '../src/migrate.js';

/**
 * A start that cannot succeed until somebody changes something: why, and what to change. It is shown as one
 * line, without a stack; `lastLines` are what a child wrote to its log before it gave up.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';

  constructor(
    reason: string,
    remedy: string,
    readonly lastLines: string[] = [],
  ) {
    super(`${reason} ${remedy}`);
  }
}

const fileTroubles: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOTDIR: 'a part of the path is a file',
  EEXIST: 'a file is in the way',
  ENOENT: 'there is no such file or folder, nor can it be made',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
};

/** What to show for an error: whatever is neither a refusal nor a matter of files is a bug, and keeps its stack. */
export function explain(error: unknown): string {
  if (error instanceof Refusal)
    return [error.message, ...error.lastLines.map(line => `    ${line}`)].join('\n');
  if (error instanceof MigrationRefused) return error.message;
  if (!(error instanceof Error)) return String(error);
  const { code = '', path = '' } = error as NodeJS.ErrnoException;
  const trouble = fileTroubles[code];
  if (trouble && path)
    return `Cannot use ${path}: ${trouble}. Put it right, or set DATA_DIR to another folder.`;
  return error.stack ?? error.message;
}
