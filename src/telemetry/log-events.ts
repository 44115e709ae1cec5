import type { Logger } from 'pino';
import type { BankEvent } from '../bank/events.js';
import type { EngineEvent, EnginePoint } from '../idempotency/events.js';
import type { Difference, RecoveryEvent } from '../recovery/events.js';
import { errorToLog, messageLengthMax } from './error-to-log.js';
import type { Listener } from './listener.js';
import { Seldom } from './seldom.js';

/** Differences written down per run. They are found again every time, and the metric has their number. */
const differencesMax = 20;

/** Attempts named in one line about several. */
const attemptsMax = 20;

/**
 * Writes down what an operator must know: `error` is for a person, today; `warn` heals by itself, and explains what
 * was seen; `info` is the ordinary life of a service that recovers.
 *
 * An attempt is named by its id, which its key's row carries too. Never by the key, and nobody's API key is in here.
 * What an outage brings by the thousand is written once a second, with the number left out; metrics count all of it.
 */
export class EventLog implements Listener {
  private readonly seldom = new Seldom();
  private isCircuitClosed = true;

  private readonly writeAt: Partial<Record<EnginePoint, (event: EngineEvent) => void>> = {
    parked: ({ attempts, reason }) => {
      for (const attempt of attempts) {
        this.log.error(
          { event: 'parked', ...attempt, reason: reason?.slice(0, messageLengthMax) },
          'an operation is parked: nobody goes on with it until a person has looked',
        );
      }
    },
    stranded: event => {
      this.warn(event, 'a holder could not go on; somebody takes over when its lease has run out');
    },
    fenced: event => {
      this.warn(event, 'somebody had taken over meanwhile; this holder wrote nothing');
    },
    batch_repeated: event => {
      this.warn(event, 'a transaction failed and is repeated');
    },
    taken_over: event => {
      this.seldom.about('taken_over', leftOut => {
        this.log.info({ ...told(event), leftOut }, 'an abandoned operation has a new holder');
      });
    },
  };

  constructor(private readonly log: Logger) {}

  engine(event: EngineEvent): void {
    this.writeAt[event.point]?.(event);
  }

  /** While the bank is away its circuit opens again after every try: that is one outage, told once. */
  bank(event: BankEvent): void {
    if (!('circuit' in event)) return;
    const { circuit } = event;
    if (circuit === 'open' && this.isCircuitClosed) {
      this.isCircuitClosed = false;
      this.log.warn({ event: 'circuit', circuit }, 'the bank fails: it is left alone, and tried again');
    } else if (circuit === 'closed' && !this.isCircuitClosed) {
      this.isCircuitClosed = true;
      this.log.info({ event: 'circuit', circuit }, 'the bank answers again');
    } else {
      this.log.debug({ event: 'circuit', circuit }, 'the bank is still being tried');
    }
  }

  recovery(event: RecoveryEvent): void {
    const { worker } = event;
    if ('error' in event) {
      this.seldom.about(worker, leftOut => {
        const err = errorToLog(event.error);
        this.log.warn({ event: 'worker_failed', worker, err, leftOut }, 'a worker failed, and tries again');
      });
      return;
    }
    if (event.worker === 'reaper' && event.reaped > 0) {
      this.log.info(
        { event: 'reaped', reaped: event.reaped },
        'stored answers were deleted after their time',
      );
    }
    if (event.worker === 'reconciler') {
      for (const difference of event.differences.slice(0, differencesMax)) {
        this.log.error(
          { event: 'difference', ...toJson(difference), differencesFound: event.differencesFound },
          'our books and the bank differ',
        );
      }
    }
  }

  private warn(event: EngineEvent, message: string): void {
    this.seldom.about(event.point, leftOut => {
      const err = event.error === undefined ? undefined : errorToLog(event.error);
      this.log.warn({ ...told(event), err, leftOut }, message);
    });
  }
}

function told({ point, batchSize, attempts }: EngineEvent) {
  return { event: point, batchSize, attempts: attempts.slice(0, attemptsMax) };
}

/** JSON has no integers of the size of an amount. A reference may be the bank's own, and any text. */
function toJson({ kind, reference, ours, theirs }: Difference) {
  return {
    kind,
    reference: reference.slice(0, messageLengthMax),
    ours: ours && { ...ours, amount: String(ours.amount) },
    theirs: theirs && { ...theirs, amount: String(theirs.amount) },
  };
}
