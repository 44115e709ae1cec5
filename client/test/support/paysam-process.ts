import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** As it is installed: built, and by the name that npm would link. */
const program = join(import.meta.dirname, '../../bin/paysam.js');

export interface Ran {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** Of `--json`. */
  json: () => Record<string, unknown> & Told;
}

/** What every JSON object has. */
interface Told {
  data?: Record<string, unknown>;
  error?: Record<string, unknown>;
  idempotencyKey: string | null;
  attempts: number;
  requestIds: string[];
  replayed: boolean;
}

export interface Running {
  child: ChildProcessWithoutNullStreams;
  /** Resolves once stderr holds these words. */
  says: (words: string) => Promise<void>;
  ended: Promise<Ran>;
}

/** A person at a keyboard: an address, an API key, and a place where keys are written down. */
export class User {
  readonly home = mkdtempSync(join(tmpdir(), 'paysam-user-'));

  constructor(private readonly environment: { PAYSAM_URL: string; PAYSAM_API_KEY: string }) {}

  run(line: string | string[], environment: NodeJS.ProcessEnv = {}): Promise<Ran> {
    return this.start(line, environment).ended;
  }

  start(line: string | string[], environment: NodeJS.ProcessEnv = {}): Running {
    const words = typeof line === 'string' ? line.split(' ') : line;
    return this.spawn(process.execPath, [program, ...words], environment);
  }

  /** A command as it was printed, carried out by a shell. */
  runPrinted(command: string): Promise<Ran> {
    const script = `paysam() { "$NODE" "$PROGRAM" "$@"; }; ${command}`;
    return this.spawn('sh', ['-c', script], { NODE: process.execPath, PROGRAM: program }).ended;
  }

  /** The same on a terminal, which Python has in its library. All that the terminal shows is in `stdout`. */
  runOnTerminal(line: string, environment: NodeJS.ProcessEnv = {}): Promise<Ran> {
    const script = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))';
    const words = [process.execPath, program, ...line.split(' ')];
    return this.spawn('python3', ['-c', script, ...words], { TERM: 'xterm-256color', ...environment }).ended;
  }

  /** Files in the journal. */
  unfinished(): string[] {
    try {
      return readdirSync(join(this.home, 'journal')).filter(name => name.endsWith('.json'));
    } catch {
      return [];
    }
  }

  leave(): void {
    rmSync(this.home, { recursive: true, force: true });
  }

  private spawn(command: string, words: string[], environment: NodeJS.ProcessEnv): Running {
    // Whoever runs the tests may have an opinion about colour, or have come through npx.
    const inherited = { FORCE_COLOR: undefined, NO_COLOR: undefined, npm_command: undefined };
    const own = { ...inherited, PAYSAM_HOME: this.home };
    const child = spawn(command, words, {
      env: { ...process.env, ...own, ...this.environment, ...environment },
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    let isOver = false;
    const ended = new Promise<Ran>(resolve => {
      child.once('close', (code, signal) => {
        isOver = true;
        resolve({ code, signal, stdout, stderr, json: () => JSON.parse(stdout) as ReturnType<Ran['json']> });
      });
    });
    const says = async (words: string) => {
      while (!stderr.includes(words)) {
        if (isOver) throw new Error(`it never said “${words}”:\n${stderr}`);
        await sleep(5);
      }
    };
    return { child, says, ended };
  }
}
