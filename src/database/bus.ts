/**
 * Lets concurrent callers share a trip to the database.
 *
 *     board ──▶ waiting ──▶ on the road ──▶ arrived
 *                  ▲            │
 *                  └── full ────┘   (the rest takes the next one)
 *
 * While a bus is on the road, callers wait at the stop; when it returns, the next one leaves with all of them.
 * Nothing waits for a timer: a lone caller leaves in the same turn of the event loop. So under light load this
 * costs nothing, and the heavier the load, the fuller each bus.
 *
 * A caller's own failure is an `Error` in its seat; if the whole trip throws, everybody on it gets the error.
 */
export class Bus<Passenger, Arrival> {
  private waiting: Ticket<Passenger, Arrival>[] = [];
  private onTheRoad = 0;
  private departing = false;

  /**
   * @param drive takes the passengers there and brings back an arrival, or an Error, for each, in order
   */
  constructor(
    private readonly limits: { seatsMax: number; busesMax: number; waitingMax: number },
    private readonly drive: (passengers: Passenger[]) => Promise<(Arrival | Error)[]>,
  ) {}

  /** @throws StopFull when too many are waiting already; else whatever became of the trip */
  board(passenger: Passenger): Promise<Arrival> {
    if (this.waiting.length >= this.limits.waitingMax) return Promise.reject(new StopFull());
    return new Promise((resolve, reject) => {
      this.waiting.push({ passenger, resolve, reject });
      this.callBus();
    });
  }

  /** Whether anybody waits or is on the road. */
  get isBusy(): boolean {
    return this.waiting.length > 0 || this.onTheRoad > 0;
  }

  /** Leaves at the end of this turn of the event loop: whoever arrived in the same packet comes along. */
  private callBus(): void {
    if (this.departing || this.onTheRoad >= this.limits.busesMax || this.waiting.length === 0) return;
    this.departing = true;
    setImmediate(() => {
      this.departing = false;
      void this.depart();
      this.callBus();
    });
  }

  private async depart(): Promise<void> {
    const tickets = this.waiting.splice(0, this.limits.seatsMax);
    if (tickets.length === 0) return;
    this.onTheRoad += 1;
    try {
      const arrivals = await this.drive(tickets.map(ticket => ticket.passenger));
      tickets.forEach((ticket, seat) => {
        const arrival = arrivals[seat];
        if (arrival === undefined) ticket.reject(new Error(`seat ${seat} came back empty`));
        else if (Error.isError(arrival)) ticket.reject(arrival);
        else ticket.resolve(arrival);
      });
    } catch (error) {
      tickets.forEach(ticket => {
        ticket.reject(error);
      });
    } finally {
      this.onTheRoad -= 1;
      this.callBus();
    }
  }
}

/** Nothing was done for this caller: it may try again later. */
export class StopFull extends Error {
  override readonly name = 'StopFull';
}

interface Ticket<Passenger, Arrival> {
  passenger: Passenger;
  resolve: (arrival: Arrival) => void;
  reject: (error: unknown) => void;
}
