import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Mutation, NamedTest } from './mutation.js';
import { patched } from './mutation.js';
import { patternOf } from './named-test.js';

/** Neither copied nor looked at: what can be made again, and the packages, which are linked. */
const leftOut = new Set(['node_modules', 'dist', '.git', '.data', 'coverage', 'reports', '.stryker-tmp']);

/** The longest named test kills PostgreSQL ten times, and takes half a minute on a machine that does nothing else. */
const testMaxMs = 300_000;

/** How a test ended. */
export interface Ended {
  readonly file: string;
  readonly fullName: string;
  readonly isPassed: boolean;
  /** What it said that failed, and what was said when all was cleared up after it. */
  readonly said: readonly string[];
}

/** The copy could not be built, or Jest not be run: that is no verdict. */
export class NotRun extends Error {
  override readonly name = 'NotRun';
}

/**
 * A copy of the project in which things may be broken. The project itself is never written to: whatever ends this
 * process, there is nothing to be put back.
 */
export class ScratchCopy {
  private constructor(readonly folder: string) {}

  static make(project: string): ScratchCopy {
    const folder = mkdtempSync(join(tmpdir(), 'paysam-mutations-'));
    cpSync(project, folder, { recursive: true, filter: path => !leftOut.has(basename(path)) });
    symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));
    return new ScratchCopy(folder);
  }

  delete(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** @throws NotRun */
  build(): void {
    const nest = 'node_modules/@nestjs/cli/bin/nest.js';
    const { status, stdout, stderr } = spawnSync(process.execPath, [nest, 'build'], {
      cwd: this.folder,
      encoding: 'utf8',
    });
    if (status !== 0) throw new NotRun(`the copy cannot be built:\n${stdout}${stderr}`);
  }

  /**
   * Makes the mistake, lets `work` look at it, and puts the files back.
   *
   * @throws PatchDoesNotFit, NotRun
   */
  async withMistake<T>({ patches }: Mutation, work: () => Promise<T>): Promise<T> {
    const originals = new Map(patches.map(({ file }) => [file, this.read(file)]));
    const broken = new Map(originals);
    for (const patch of patches) broken.set(patch.file, patched(broken.get(patch.file) ?? '', patch));
    try {
      for (const [file, text] of broken) this.write(file, text);
      this.build();
      return await work();
    } finally {
      for (const [file, text] of originals) this.write(file, text);
    }
  }

  /**
   * Runs those tests, and no others, each file with the service that it needs.
   *
   * @throws NotRun when Jest says nothing, or not in time
   */
  async run(tests: readonly NamedTest[], signal: AbortSignal): Promise<Ended[]> {
    const report = join(this.folder, 'jest-report.json');
    rmSync(report, { force: true });
    const output = await this.jest(
      [
        ...new Set(tests.map(({ file }) => join(this.folder, file))),
        '--runTestsByPath',
        '--testNamePattern',
        [...new Set(tests.map(patternOf))].join('|'),
        '--json',
        '--outputFile',
        report,
        '--silent',
        '--forceExit',
      ],
      testMaxMs * tests.length,
      signal,
    );
    return readReport(report, this.folder, output);
  }

  /** @returns what it printed, for whoever has to find out why it did not run */
  private async jest(options: readonly string[], patienceMs: number, signal: AbortSignal): Promise<string> {
    const child = spawn(
      process.execPath,
      [
        '--experimental-vm-modules',
        '--disable-warning=ExperimentalWarning',
        'node_modules/jest/bin/jest.js',
        ...options,
      ],
      { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-20_000)));
    }
    const ended = new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => {
        resolve();
      });
    });
    // SIGINT, so that it stops the PostgreSQL that it has started; SIGKILL, should it not.
    const over = new AbortController();
    const patience = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)]);
    const stop = () => {
      child.kill('SIGINT');
      void sleep(20_000, undefined, { signal: over.signal }).then(
        () => child.kill('SIGKILL'),
        () => undefined,
      );
    };
    patience.addEventListener('abort', stop, { once: true });
    await ended.finally(() => {
      over.abort();
      patience.removeEventListener('abort', stop);
    });
    signal.throwIfAborted();
    if (patience.aborted) throw new NotRun(`the tests did not end within ${patienceMs / 1_000} s`);
    return output;
  }

  private read(file: string): string {
    return readFileSync(join(this.folder, file), 'utf8');
  }

  private write(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }
}

interface JestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[] | null;
    }[];
  }[];
}

function readReport(path: string, folder: string, output: string): Ended[] {
  let report: JestReport;
  try {
    report = JSON.parse(readFileSync(path, 'utf8')) as JestReport;
  } catch (cause) {
    throw new NotRun(`Jest has reported nothing:\n${output}`, { cause });
  }
  return report.testResults.flatMap(({ name, message, assertionResults }) => {
    // Red because it could not even be loaded is no evidence of anything.
    if (assertionResults.length === 0) throw new NotRun(`${name} could not be run:\n${message}`);
    return assertionResults
      .filter(({ status }) => status === 'passed' || status === 'failed')
      .map(({ fullName, status, failureMessages }) => ({
        file: name.slice(folder.length + 1),
        fullName,
        isPassed: status === 'passed',
        said: failureMessages ?? [],
      }));
  });
}
