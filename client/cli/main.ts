import { exitCodeOf } from './exit-code.js';
import { run } from './paysam.js';

/** Ctrl-C reaches a program that npx runs twice: from the terminal, and from npx. One keystroke is one wish. */
const sameKeystrokeMs = 300;

const stopping = new AbortController();
let stoppedAt = 0;
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    // Once more: at once. Whatever was sent is written down.
    if (stopping.signal.aborted && performance.now() - stoppedAt > sameKeystrokeMs)
      process.exit(exitCodeOf(name));
    if (!stopping.signal.aborted) stoppedAt = performance.now();
    stopping.abort(name);
  });
}

// `paysam payments | head -1`: nobody reads any more. What is paid is paid all the same.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exitCode = 1;
  });
}

// Not process.exit(): a pipe may not have taken all of the output yet.
process.exitCode = await run(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  stopping: stopping.signal,
});
