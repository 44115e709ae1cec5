/** The second witness: the bank's own books, and every request that reached it. */
export interface BankWitness {
  readonly bookings: readonly Booking[];
  /** The latest 100,000 of them, since the bank was last started: what is missing here proves nothing. */
  readonly requests: readonly BankRequest[];
}

/** A line of the bank's statement. */
export interface Booking {
  readonly kind: 'charge' | 'return';
  /** The bank's own number of the transfer. */
  readonly transfer_id: string;
  /** Ours: the payment's id. */
  readonly reference: string;
  /** Minor units. */
  readonly amount: number;
  readonly currency: string;
}

export interface BankRequest {
  readonly method: 'PUT' | 'GET';
  readonly reference: string;
  /** `null`: it was never answered. */
  readonly status: number | null;
}

export interface BankAddress {
  readonly url: string;
  readonly apiKey: string;
}

/**
 * Asks the bank, directly and past every proxy, for its books and for its log of requests.
 *
 * @throws Error when the bank does not answer, or when the pages do not add up to its own totals
 */
export async function readBank(bank: BankAddress): Promise<BankWitness> {
  const bookings = await readBookings(bank);
  const totals = (await ask(bank, '/control/books')) as { charges: number; returned: number };
  const { requests } = (await ask(bank, '/control/requests')) as { requests: BankRequest[] };
  if (bookings.length < totals.charges + totals.returned) {
    throw new Error(`the bank showed ${bookings.length} of its ${totals.charges + totals.returned} bookings`);
  }
  return { bookings, requests };
}

/** From one booking on: a watcher reads only what is new. */
export async function readBookings(bank: BankAddress): Promise<Booking[]> {
  const all: Booking[] = [];
  for (let since = 0; ;) {
    const page = await readPage(bank, since);
    if (page.bookings.length === 0) return all;
    all.push(...page.bookings);
    since = page.next;
  }
}

export async function readPage(bank: BankAddress, since: number) {
  return (await ask(bank, `/transfers?since=${since}`)) as { bookings: Booking[]; next: number };
}

async function ask({ url, apiKey }: BankAddress, path: string): Promise<unknown> {
  const answer = await fetch(`${url}${path}`, {
    headers: { authorization: `Bearer ${apiKey}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (!answer.ok) throw new Error(`the bank answers ${path} with ${answer.status}`);
  return answer.json();
}
