/** An intended payment or refund, written down before anything of it is sent. */
export interface Entry {
  readonly key: string;
  readonly operation: 'payment' | 'refund';
  /** Where it is sent: `/payments`, say. */
  readonly path: string;
  /** What is sent, as text: a resumed request is the same bytes. */
  readonly body: string;
  /** Who sent it where: the entry is of no use, and dangerous, to anybody else. See `sender` in pay-sam.ts. */
  readonly sender: string;
  readonly writtenAt: string;
}

/**
 * Remembers keys across the death of the process. Whatever holds this must keep it where a crash cannot reach.
 *
 * The order is the whole point: `open` resolves once the entry is durable, then the first byte is sent; `close` comes
 * after the outcome is known. A crash in between leaves an entry, and to send it again is safe: it has the same key.
 */
export interface Journal {
  /** @throws when the entry could not be made durable: then nothing may be sent */
  open(entry: Entry): Promise<void>;
  /** Forgets an entry whose outcome is known. To forget what is not there is no error. */
  close(key: string): Promise<void>;
  /** What was opened and not closed, oldest first. */
  unfinished(): Promise<Entry[]>;
}
