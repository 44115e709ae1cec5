/**
 * Loaded into a real API by api-process.ts, with `node --import`. It listens to the events that the engine
 * publishes for logs and metrics, and strikes at one of them: production code carries no test hook.
 *
 *   FAULT_POINT=committed      at the first event of that name
 *   FAULT_POINT=committed:3    at the third
 *   FAULT_SIGNAL=SIGKILL       (the default) no statement after the event runs
 *   FAULT_SIGNAL=SIGSTOP       the process stands still there until it gets SIGCONT
 *
 * It says how large the batch was that the event is about: a crash of one payment proves little about fifty.
 *
 * Node strips the types by itself, so this file imports only what Node brings.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';

const [point, nth = '1'] = (process.env.FAULT_POINT ?? '').split(':');
const signal = process.env.FAULT_SIGNAL ?? 'SIGKILL';
let hits = 0;

if (point) {
  subscribe('paysam.engine', message => {
    const event = message as { point: string; batchSize?: number };
    if (event.point !== point || ++hits !== Number(nth)) return;
    const size = event.batchSize === undefined ? '' : `, batch of ${event.batchSize}`;
    // Past the stream and its buffer: the test has to see this line, whatever comes next.
    writeSync(process.stderr.fd, `fault point reached: ${point}${size}\n`);
    process.kill(process.pid, signal);
  });
}
