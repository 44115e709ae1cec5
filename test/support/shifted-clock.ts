/**
 * Loaded into a real process by api-process.ts, with `node --import`. From the first line of the program on, the time
 * of day is wrong by CLOCK_SHIFT_MS: two hours ahead, say, as on a machine that nobody has set. Each SIGUSR2 sets it
 * by CLOCK_STEP_MS once more, forwards or back, as on a machine that somebody does set.
 *
 * With CLOCK_STEP_AFTER_MS it is set so long after the start by itself. A negative step lets the same hour happen twice.
 *
 * Only the time of day. `performance.now` and timers run on another clock, which nobody can set.
 *
 * Node strips the types by itself, so this file imports only what Node brings.
 */
import { writeSync } from 'node:fs';

let shiftMs = Number(process.env.CLOCK_SHIFT_MS);
if (!Number.isSafeInteger(shiftMs)) throw new Error('CLOCK_SHIFT_MS must say by how much the clock is wrong');

const stepMs = Number(process.env.CLOCK_STEP_MS ?? '0');
if (!Number.isSafeInteger(stepMs)) throw new Error('CLOCK_STEP_MS must say by how much the clock is set');
process.on('SIGUSR2', step);
function step(): void {
  shiftMs += stepMs;
  writeSync(process.stderr.fd, 'the clock was set\n');
}
// Before this line a SIGUSR2 would end the process.
if (stepMs !== 0) writeSync(process.stderr.fd, 'the clock can be set\n');

const RightDate = Date;
const now = () => RightDate.now() + shiftMs;

globalThis.Date = new Proxy(RightDate, {
  // What is made from something is left as it is: a time that the database tells does not change.
  construct: (date, args, newTarget) =>
    Reflect.construct(date, args.length === 0 ? [now()] : args, newTarget) as Date,
  apply: () => new RightDate(now()).toString(),
  get: (date, name) => (name === 'now' ? now : (Reflect.get(date, name) as unknown)),
});
// Nor is there a way round it, from a date to the one who made it.
Object.defineProperty(RightDate.prototype, 'constructor', {
  value: globalThis.Date,
  configurable: true,
  writable: true,
});

const stepAfterMs = process.env.CLOCK_STEP_AFTER_MS;
if (stepAfterMs !== undefined) setTimeout(step, Number(stepAfterMs)).unref();
