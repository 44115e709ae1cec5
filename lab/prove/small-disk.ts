import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Room for a cluster of the demo with its log, and for a run of a minute. All of it may come to lie in memory. */
const sizeMiB = 256;

/** Written at once while it is filled up; in the end byte by byte, so that nothing is left. */
const chunks = [2 ** 20, 4_096, 1];

/**
 * A disk of its own that can be full without hurting anybody else: a file system in memory, which only root may mount,
 * and only on Linux.
 */
export class SmallDisk {
  private constructor(readonly folder: string) {
    // Also when a run is stopped: a mounted folder cannot be deleted, and would outlive everybody.
    process.once('exit', this.unmountAtExit);
  }

  /** @returns `undefined`: none can be had here */
  static mount(): SmallDisk | undefined {
    const folder = mkdtempSync(join(tmpdir(), 'paysam-small-disk-'));
    const { status } = spawnSync('mount', [
      '-t',
      'tmpfs',
      '-o',
      `size=${sizeMiB}m,mode=0711`,
      'tmpfs',
      folder,
    ]);
    if (status === 0) return new SmallDisk(folder);
    rmdirSync(folder);
    return undefined;
  }

  /** To the last byte. Files that exist may still be written where they have room already. */
  fill(): void {
    const ballast = openSync(this.ballast, 'a');
    for (const size of chunks) {
      const bytes = Buffer.alloc(size);
      while (hasRoomFor(ballast, bytes));
    }
    closeSync(ballast);
  }

  free(): void {
    rmSync(this.ballast, { force: true });
  }

  /** Nothing may use it any more. */
  unmount(): void {
    process.off('exit', this.unmountAtExit);
    spawnSync('umount', [this.folder]);
    rmdirSync(this.folder);
  }

  /** Whoever still uses it is about to end. */
  private readonly unmountAtExit = () => void spawnSync('umount', ['-l', this.folder]);

  private get ballast(): string {
    return join(this.folder, 'ballast');
  }
}

function hasRoomFor(file: number, bytes: Buffer): boolean {
  try {
    return writeSync(file, bytes) === bytes.length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false;
    throw error;
  }
}
