import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { Bus, StopFull } from './bus.js';

interface Trip {
  passengers: number[];
  /** Turns of the event loop that it takes. */
  turns: number;
  end: 'arrives' | 'throws';
}

/** A schedule: who comes after how many turns, and how the trips go that follow. */
const schedule = fc.record({
  seatsMax: fc.integer({ min: 1, max: 5 }),
  busesMax: fc.integer({ min: 1, max: 3 }),
  waitingMax: fc.integer({ min: 1, max: 12 }),
  /** Turns until the next passenger comes; and whether its own seat comes back with an Error. */
  passengers: fc.array(fc.record({ pause: fc.nat(3), fails: fc.boolean() }), { minLength: 1, maxLength: 40 }),
  trips: fc.infiniteStream(fc.record({ turns: fc.nat(6), throws: fc.nat(4).map(n => n === 0) })),
});

class OwnFailure extends Error {}
class Crash extends Error {}

describe('the bus', () => {
  it('brings every passenger back exactly once, with its own arrival, whatever the schedule', async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ({ seatsMax, busesMax, waitingMax, passengers, trips }) => {
        const made: Trip[] = [];
        let onTheRoad = 0;
        let [mostOnTheRoad, waiting, refusals] = [0, 0, 0];

        const bus = new Bus<number, string>({ seatsMax, busesMax, waitingMax }, async aboard => {
          const { turns, throws } = trips.next().value as { turns: number; throws: boolean };
          made.push({ passengers: [...aboard], turns, end: throws ? 'throws' : 'arrives' });
          waiting -= aboard.length;
          mostOnTheRoad = Math.max(mostOnTheRoad, (onTheRoad += 1));
          for (let turn = 0; turn < turns; turn += 1) await nextTurn();
          onTheRoad -= 1;
          if (throws) throw new Crash(`trip of ${aboard.join()}`);
          return aboard.map(each =>
            passengers[each]?.fails ? new OwnFailure(String(each)) : `arrival of ${each}`,
          );
        });

        const outcomes: Promise<{ arrival: string } | { error: unknown }>[] = [];
        for (const [index, { pause }] of passengers.entries()) {
          const isFull = waiting >= waitingMax;
          if (isFull) refusals += 1;
          else waiting += 1;
          const settled = bus.board(index).then(
            arrival => ({ arrival }),
            (error: unknown) => ({ error }),
          );
          if (isFull) expect(await settled).toEqual({ error: new StopFull() });
          outcomes.push(settled);
          for (let turn = 0; turn < pause; turn += 1) await nextTurn();
        }
        const results = await Promise.all(outcomes);

        const carried = made.flatMap(trip => trip.passengers);
        expect(carried).toHaveLength(passengers.length - refusals);
        expect(carried).toEqual([...new Set(carried)].sort((a, b) => a - b));
        expect(mostOnTheRoad).toBeLessThanOrEqual(busesMax);
        expect(onTheRoad).toBe(0);
        for (const trip of made) {
          expect(trip.passengers.length).toBeGreaterThanOrEqual(1);
          expect(trip.passengers.length).toBeLessThanOrEqual(seatsMax);
          for (const passenger of trip.passengers) {
            const result = results[passenger];
            if (trip.end === 'throws')
              expect(result).toEqual({ error: new Crash(`trip of ${trip.passengers.join()}`) });
            else if (passengers[passenger]?.fails)
              expect(result).toEqual({ error: new OwnFailure(String(passenger)) });
            else expect(result).toEqual({ arrival: `arrival of ${passenger}` });
          }
        }
        expect(results.filter(result => 'error' in result && result.error instanceof StopFull)).toHaveLength(
          refusals,
        );
      }),
      { numRuns: 300 },
    );
  });

  it('leaves in the same turn with everybody who came in it', async () => {
    const trips: number[][] = [];
    const bus = new Bus<number, number>({ seatsMax: 10, busesMax: 1, waitingMax: 100 }, aboard => {
      trips.push(aboard);
      return Promise.resolve(aboard);
    });
    await Promise.all([1, 2, 3].map(each => bus.board(each)));
    await bus.board(4);
    expect(trips).toEqual([[1, 2, 3], [4]]);
  });

  it('fills up while the one before it is on the road', async () => {
    const trips: number[][] = [];
    let arrive: () => void = () => undefined;
    const bus = new Bus<number, number>({ seatsMax: 3, busesMax: 1, waitingMax: 100 }, async aboard => {
      trips.push(aboard);
      if (trips.length === 1) await new Promise<void>(resolve => (arrive = resolve));
      return aboard;
    });
    const first = bus.board(0);
    await nextTurn();
    const others = [1, 2, 3, 4].map(each => bus.board(each));
    await nextTurn();
    expect(trips).toEqual([[0]]);
    arrive();
    expect(await Promise.all([first, ...others])).toEqual([0, 1, 2, 3, 4]);
    expect(trips).toEqual([[0], [1, 2, 3], [4]]);
  });

  it('turns away whom there is no room for, at once, and takes others again later', async () => {
    const bus = new Bus<number, number>({ seatsMax: 2, busesMax: 1, waitingMax: 2 }, aboard =>
      Promise.resolve(aboard),
    );
    const taken = [bus.board(1), bus.board(2)];
    await expect(bus.board(3)).rejects.toBeInstanceOf(StopFull);
    expect(await Promise.all(taken)).toEqual([1, 2]);
    expect(await bus.board(4)).toBe(4);
  });

  it('tells a passenger whose seat came back empty, rather than leave it standing', async () => {
    const bus = new Bus<number, number>({ seatsMax: 2, busesMax: 1, waitingMax: 2 }, () =>
      Promise.resolve([7]),
    );
    const [one, two] = [bus.board(1), bus.board(2)];
    expect(await one).toBe(7);
    await expect(two).rejects.toThrow('seat 1 came back empty');
  });

  it('survives a driver that fails before it has left', async () => {
    let fails = true;
    const bus = new Bus<number, number>({ seatsMax: 2, busesMax: 1, waitingMax: 2 }, aboard => {
      if (fails) throw new Crash('no fuel');
      return Promise.resolve(aboard);
    });
    await expect(bus.board(1)).rejects.toThrow('no fuel');
    fails = false;
    expect(await bus.board(2)).toBe(2);
  });
});
