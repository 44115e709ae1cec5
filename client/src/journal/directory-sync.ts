import { open } from 'node:fs/promises';

/**
 * Makes the names in a directory durable: a file that is safe on disk is lost all the same if its name is not.
 * Windows has no such call, and needs none: NTFS journals names by itself.
 */
export async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * One sync is enough for everybody whose name was there when it began. So while one runs, all who come share the
 * next: a thousand payments at once cost a few syncs, not a thousand.
 */
export class DirectorySync {
  private running: Promise<unknown> = Promise.resolve();
  private next: Promise<void> | undefined;

  constructor(private readonly begin: () => Promise<void>) {}

  sync(): Promise<void> {
    this.next ??= this.afterRunning();
    return this.next;
  }

  private async afterRunning(): Promise<void> {
    await this.running;
    const next = this.begin();
    // From here on it may be too late for a new name; and those who come next need not hear why this one failed.
    this.running = next.catch(() => undefined);
    this.next = undefined;
    return next;
  }
}
