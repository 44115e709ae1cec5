import { pino, type Logger } from 'pino';
import { errorToLog } from './error-to-log.js';

/** Lines that wait for a reader, in bytes: about a thousand errors. Older ones say more than newer ones would. */
const waitingBytesMax = 1024 * 1024;

/**
 * One line of JSON for each event, on stdout. Whoever reads them may stand still; nobody who pays waits for that. A
 * mebibyte of lines is kept meanwhile, and what comes then is left out, and counted once there is a reader again.
 *
 * Not promised: that a process which ends has been read to its end. With pino's own way to stdout it would wait for its
 * reader then, past every grace time; here, what nobody has read by then is lost.
 */
export function createLog(level: string): Logger {
  const { stdout } = process;
  // A reader that is gone is no reason to go as well.
  if (!stdout.listeners('error').includes(ignore)) stdout.on('error', ignore);
  let leftOut = 0;

  const log = pino(
    { level, serializers: { err: toLog } },
    {
      write(line: string) {
        if (stdout.writableLength > waitingBytesMax) {
          leftOut += 1;
          return;
        }
        if (leftOut > 0) {
          const lines = leftOut;
          leftOut = 0;
          log.warn({ event: 'lines_left_out', leftOut: lines }, 'nobody read the log: these lines are lost');
        }
        stdout.write(line);
      },
    },
  );
  return log;
}

/** What is safe to write is made by errorToLog. pino would summarise that summary again, and call each error an Object. */
function toLog(error: unknown): unknown {
  return Error.isError(error) ? errorToLog(error) : error;
}

const ignore = () => undefined;
