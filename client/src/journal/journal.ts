/** An intended payment or refund, written down before anything of it is sent. */
export interface Entry {
  readonly key: string;
  readonly operation: 'payment' | 'refund';
  /** Where it is sent: `/payments`, say. */
  readonly path: string;
  /** What is sent, as text: a resumed request is the same bytes. */
  readonly body: string;
  /** Who sent it where: the entry is of no use, and dangerous, to anybody else. See sender.ts. */
  readonly sender: string;
  readonly writtenAt: string;
}

/**
 * Remembers keys across the death of the process. Whatever holds this must keep it where a crash cannot reach.
 *
 * The order is the whole point: `open` resolves once the entry is durable, then the first byte is sent; `close` comes
 * after the outcome is known. A crash in between leaves an entry, and to send it again is safe: it has the same key.
 *
 * Calls that use one key at the same time share its entry, and the first to know the outcome closes it.
 */
export interface Journal {
  /**
   * An entry that is there already stays as it is, and counts as adopted: it was written first, and may have been sent.
   *
   * @returns whether the entry is new. False: an earlier call left it, and nobody knows yet what became of that one,
   *   so this call's "nothing was done" would be no reason to close it
   * @throws NotJournaled when the entry could not be made durable: then nothing may be sent
   */
  open(entry: Entry): Promise<boolean>;
  /**
   * Comes before an entry is sent by anybody but the call that wrote it: that one may be under way still, here or in
   * another process, and believe that nothing was done.
   *
   * @returns false where it is gone: closed or withdrawn meanwhile, and not to be sent
   */
  adopt(key: string): Promise<boolean>;
  /**
   * Forgets an entry of which nothing was done, durably, for the call that wrote it.
   *
   * @returns false where somebody has adopted it, or closed it: then it may have been done after all, and what there is
   *   stays
   */
  withdraw(key: string): Promise<boolean>;
  /** Forgets an entry whose outcome is known, durably. To forget what is not there is no error. */
  close(key: string): Promise<void>;
  /** What was opened and not closed, oldest first. */
  unfinished(): Promise<Entry[]>;
  /**
   * What lies where entries lie and is none that can be read: perhaps a payment whose outcome nobody knows, so it is
   * for a person to look at, and never deleted. Left out by a journal that cannot have any.
   */
  unreadable?(): Promise<Unreadable[]>;
}

export interface Unreadable {
  readonly path: string;
  /**
   * `foreign`: nothing that this journal wrote, by its name. `damaged`: an entry by its name, not by its content.
   * `newer_version`: written by a later version of this client. `inaccessible`: the system does not let us read it.
   */
  readonly why: 'foreign' | 'damaged' | 'newer_version' | 'inaccessible';
}

/** The journal could not keep an entry, so nothing of it may be sent. */
export class NotJournaled extends Error {
  override readonly name = 'NotJournaled';
}

/** A key is the customer's own: one customer's "order-17" is not another's. One journal cannot keep both. */
export function takenByAnother(key: string, where: string): NotJournaled {
  return new NotJournaled(
    `${where} has an unfinished entry with the key ${key} for another customer or address. ` +
      'Resume that one first, or keep a journal for each.',
  );
}

/** Times are RFC 3339 in UTC, so they sort as text; keys that were made in order break a tie. */
export function oldestFirst(one: Entry, other: Entry): number {
  if (one.writtenAt !== other.writtenAt) return one.writtenAt < other.writtenAt ? -1 : 1;
  return one.key < other.key ? -1 : 1;
}
