import { type ClientEvent, PaySam, type PaySamOptions } from '../src/client.js';
import { FileJournal } from '../src/journal/file-journal.js';
import type { Arguments } from './arguments.js';
import { readBounds } from './bounds.js';
import type { Session } from './session.js';
import type { Surroundings } from './surroundings.js';
import { typedKey } from './typed-key.js';

/** What a session needs, and who is told what happens in it. */
interface Ears {
  readonly stopping: AbortSignal;
  readonly surroundings: Surroundings;
  readonly say: (text: string) => void;
  readonly draw: (text: string) => void;
  /** Every event, the crowd's as well. */
  readonly follow: (event: ClientEvent) => void;
  readonly tell: (event: ClientEvent) => void;
}

/** @throws UsageError for flags that make no sense: before anything is sent or written down */
export function openSession(args: Arguments, ears: Ears): Session {
  const { surroundings, stopping: signal, say, draw, follow, tell } = ears;
  const { apiKey, baseUrl, journalDirectory } = surroundings;
  const { waitSeconds, ...bounds } = readBounds(args);
  const jitter = args.oneOf('jitter', ['full', 'equal', 'decorrelated', 'none']);
  const journal = FileJournal.at(journalDirectory);
  const options: PaySamOptions = {
    apiKey,
    baseUrl,
    ...bounds,
    ...(jitter && { backoff: { jitter } }),
    ...(!args.has('no-journal') && { journal }),
  };
  const endsAt = performance.now() + bounds.deadlineMs;
  // A command may make several calls. Whoever waits for it sees one deadline.
  const call = () => ({ signal, deadlineMs: Math.max(1, endsAt - performance.now()) });
  const key = args.text('key');
  const idempotencyKey = key === undefined ? undefined : typedKey(key);
  return {
    client: new PaySam({
      ...options,
      onEvent: event => {
        follow(event);
        tell(event);
      },
    }),
    // Two clients of one process have two retry budgets: a crowd that is turned away must not spend the leader's.
    another: ({ onEvent, ...others }) =>
      new PaySam({
        ...options,
        ...others,
        onEvent: event => {
          follow(event);
          onEvent?.(event);
        },
      }),
    address: new URL(baseUrl).origin,
    // Also with --no-journal: an earlier command may have had one.
    isWrittenDown: async word => (await journal.unfinished()).some(entry => entry.key === word),
    signal,
    get intent() {
      return {
        ...call(),
        ...(idempotencyKey !== undefined && { idempotencyKey }),
        ...(waitSeconds !== undefined && { waitSeconds }),
      };
    },
    call,
    say,
    draw,
  };
}
