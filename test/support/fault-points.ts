/**
 * Loaded into a real API by api-process.ts, with `node --import`. It listens to the events that the engine
 * publishes for logs and metrics, and strikes at one of them: production code carries no test hook.
 *
 *   FAULT_POINT=committed      at the first event of that name
 *   FAULT_POINT=committed:3    at the third
 *   FAULT_POINT=committed@funds_reserved   only for an attempt that had come to that recovery point before
 *   FAULT_EPOCH=1          only for an attempt of that epoch: what was taken over from a predecessor passes unharmed
 *   FAULT_SIGNAL=SIGKILL       (the default) no statement after the event runs
 *   FAULT_SIGNAL=SIGSTOP       the process stands still there until it gets SIGCONT
 *   FAULT_SIGNAL=STALL         its event loop stands still there for FAULT_STALL_MS; it wakes by itself
 *
 * It says how large the batch was that the event is about: a crash of one payment proves little about fifty. Where an
 * epoch was asked for, it says how many of them were of it: others may be in the same batch.
 *
 * Node strips the types by itself, so this file imports only what Node brings.
 */
import { subscribe } from 'node:diagnostics_channel';
import { writeSync } from 'node:fs';

const [place = '', nth = '1'] = (process.env.FAULT_POINT ?? '').split(':');
const [point, recoveryPoint] = place.split('@');
const epoch = Number(process.env.FAULT_EPOCH ?? '0');
const signal = process.env.FAULT_SIGNAL ?? 'SIGKILL';
let hits = 0;

if (point) {
  subscribe('paysam.engine', message => {
    const event = message as {
      point: string;
      batchSize?: number;
      attempts?: { recoveryPoint?: string; epoch?: number }[];
    };
    if (event.point !== point) return;
    const isMeant = (attempt: { recoveryPoint?: string; epoch?: number }) =>
      (!recoveryPoint || attempt.recoveryPoint === recoveryPoint) && (!epoch || attempt.epoch === epoch);
    const meant = event.attempts?.filter(isMeant).length;
    if ((recoveryPoint || epoch) && !meant) return;
    if (++hits !== Number(nth)) return;
    const size = event.batchSize === undefined ? '' : `, batch of ${event.batchSize}`;
    const ofThem = epoch ? `, ${meant} of them meant` : '';
    // Past the stream and its buffer: the test has to see this line, whatever comes next.
    writeSync(process.stderr.fd, `fault point reached: ${place}${size}${ofThem}\n`);
    if (signal === 'STALL') stall();
    else process.kill(process.pid, signal);
  });
}

/** As a loop without an end would, but the processor is left to the others. */
function stall(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(process.env.FAULT_STALL_MS ?? 5_000));
}
