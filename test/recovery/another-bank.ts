import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BankUnavailable, type Booking } from '../../src/bank/bank.client.js';

export interface Entry {
  reference: string;
  kind?: 'charge' | 'return';
  amount?: bigint;
  currency?: string;
}

/** The other company: what it has booked, and how it shows that. What it says is true because it says so. */
export class AnotherBank {
  readonly bookings: Booking[] = [];
  /** What was asked of it, as the sequences that pages were to go on from. */
  readonly asked: number[] = [];
  /** How many more pages it shows before it falls silent. */
  pagesLeft = Infinity;
  /** Called before each page is put together: what happens at this moment. */
  meanwhile: () => Promise<unknown> = () => Promise.resolve();
  url = '';
  private server: Server | undefined;

  constructor(private readonly pageSize = 1_000) {}

  book(...entries: Entry[]): void {
    for (const { reference, kind = 'charge', amount = 100n, currency = 'GBP' } of entries) {
      const sequence = this.bookings.length + 1;
      const transferId = `trf_${sequence}`;
      this.bookings.push({ sequence, kind, transferId, reference, amount, currency, bookedAt: new Date() });
    }
  }

  /** As `BankClient` brings it. */
  async statement(since: number): Promise<{ bookings: Booking[]; next: number }> {
    this.asked.push(since);
    if (--this.pagesLeft < 0) throw new BankUnavailable('could not connect (ECONNREFUSED)');
    await this.meanwhile();
    const bookings = this.bookings.filter(({ sequence }) => sequence > since).slice(0, this.pageSize);
    return { bookings, next: bookings.at(-1)?.sequence ?? since };
  }

  /** The same over HTTP, for processes of their own. */
  async listen(): Promise<void> {
    this.server = createServer((request, response) => {
      const since = new URL(request.url ?? '', 'http://bank').searchParams.get('since');
      void this.statement(Number(since)).then(
        ({ bookings, next }) => {
          response.setHeader('content-type', 'application/json');
          response.end(JSON.stringify({ bookings: bookings.map(toJson), next }));
        },
        () => response.destroy(),
      );
    });
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server?.closeAllConnections();
    this.server?.close();
  }
}

function toJson({ transferId, amount, bookedAt, ...rest }: Booking): object {
  return { ...rest, transfer_id: transferId, amount: Number(amount), booked_at: bookedAt.toISOString() };
}
