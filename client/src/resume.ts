import { PaySamError } from './errors.js';
import type { Entry, Journal, Unreadable } from './journal/journal.js';
import type { CallOptions } from './options.js';
import type { Payment, Refund, Result } from './types.js';

export interface ResumeOptions extends CallOptions {
  /** How many are sent at a time; 4 by default. A server that has just come back should not be met by all at once. */
  readonly concurrency?: number | undefined;
}

export interface Resumption {
  /** Oldest first. */
  readonly resumed: readonly Resumed[];
  /** Entries of another customer, or for another address. Sent by this one, they would be new payments. */
  readonly skipped: readonly { readonly entry: Entry; readonly why: 'another_sender' }[];
  /** What lies in the journal and could not be read: for a person to look at. */
  readonly unreadable: readonly Unreadable[];
}

export type Resumed =
  | { readonly entry: Entry; readonly result: Result<Payment | Refund>; readonly error?: undefined }
  | { readonly entry: Entry; readonly error: PaySamError; readonly result?: undefined };

/**
 * Sends everything again whose outcome the journal does not know: the same bytes, the same keys. What was carried out
 * before is answered as it was then; what was not, is carried out now.
 *
 * @param send must not take these calls for first ones: see `Patience.isResumed`
 */
export async function resumeAll(
  journal: Journal,
  sender: string,
  { concurrency, send }: { concurrency: number; send: (entry: Entry) => Promise<Result<Payment | Refund>> },
): Promise<Resumption> {
  const unfinished = await journal.unfinished();
  const unreadable = (await journal.unreadable?.()) ?? [];
  const own = unfinished.filter(entry => entry.sender === sender);
  const skipped = unfinished
    .filter(entry => entry.sender !== sender)
    .map(entry => ({ entry, why: 'another_sender' as const }));

  const resumed: Resumed[] = [];
  const left = own.entries();
  const sendWhatIsLeft = async () => {
    for (const [index, entry] of left) {
      // What was closed or withdrawn since we looked must not be sent: somebody has been told that it was not done.
      if (await journal.adopt(entry.key)) resumed[index] = await sendAgain(entry);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, sendWhatIsLeft));
  return { resumed: resumed.filter(Boolean), skipped, unreadable };

  async function sendAgain(entry: Entry): Promise<Resumed> {
    try {
      return { entry, result: await send(entry) };
    } catch (error) {
      // One that cannot be settled today is no reason to leave out those behind it.
      if (error instanceof PaySamError) return { entry, error };
      throw error;
    }
  }
}
