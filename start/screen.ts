import { isatty } from 'node:tty';
import pc from 'picocolors';

// Asked of the system: left undefined, as Node has it for a pipe, the library guesses, and under CI it guesses colour.
const terminal = isatty(process.stdout.fd);
export const colours = pc.createColors(terminal && pc.isColorSupported);

// A closed terminal, or `npm start | head`: nobody reads any more, but what runs must still be stopped in order.
process.stdout.on('error', () => undefined);
process.stderr.on('error', () => undefined);

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function complain(line: string): void {
  process.stderr.write(`${colours.red('✗')} ${line}\n`);
}

/** Runs one step of a start and shows how long it took. What it returns is shown as what has been achieved. */
export async function step(doing: string, work: () => Promise<string>): Promise<void> {
  const startedAt = performance.now();
  if (terminal) process.stdout.write(colours.dim(`  ${doing} …`));
  try {
    const done = await work();
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(1);
    say(`${clearLine()}${colours.green('✓')} ${done} ${colours.dim(`${seconds} s`)}`);
  } catch (error) {
    process.stdout.write(clearLine());
    throw error;
  }
}

function clearLine(): string {
  return terminal ? '\r\x1b[2K' : '';
}
