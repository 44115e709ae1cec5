import { crash, Missed, type Crash, type Means } from './crash.js';
import { lookAtWhatIsLeft } from './left.js';
import { faultOf } from './places.js';
import type { Kill } from './plan.js';
import { recover, type Heirs } from './recover.js';
import type { Tally } from './tally.js';
import { withRefunds } from './wanted.js';

/** What is to be done, and how often it went wrong: of the harness's own making, and told apart. */
export class Agenda {
  private misses = 0;
  private readonly missesMax: number;

  constructor(
    private readonly kills: Kill[],
    private readonly tally: Tally,
    private readonly say: (line: string) => void,
  ) {
    this.missesMax = 20 + kills.length / 4;
  }

  next(): Kill | undefined {
    return this.kills.shift();
  }

  get isEmpty(): boolean {
    return this.kills.length === 0;
  }

  /** It did not happen where it was to happen. It is tried again, later; it counts for nothing. */
  again(kill: Kill, miss: Missed): void {
    this.misses += 1;
    this.say(`missed: ${miss.message}`);
    this.tally.count(`missed: ${kill.place.id} of a ${kill.holder}`);
    if (this.misses > this.missesMax) throw new Error('the harness misses too often', { cause: miss });
    this.kills.push(kill);
  }
}

/**
 * One crash from its place to the end of all its payments. What was met is counted under the name of the line in the
 * table, of the fault in the catalogue, and of the place.
 */
export async function killAndRecover(
  kill: Kill,
  means: Means,
  {
    heirs,
    tally,
    agenda,
    onDeath,
  }: { heirs: Heirs; tally: Tally; agenda: Agenda; onDeath?: () => Promise<void> },
): Promise<void> {
  let crashed: Crash | undefined;
  try {
    crashed = await crash(kill, means);
    const left = await lookAtWhatIsLeft(heirs.database, crashed, tally).finally(onDeath);
    count(kill, crashed.struck?.length ?? crashed.payments.length, tally);
    // Where a batch died, we do not know which of the payments were how far.
    const isBooked = kill.place.isCharged && kill.place.leaves === 'funds_reserved';
    const met = crashed.struck && crashed.payments.length > 1 ? [] : crashed.payments;
    for (const payment of isBooked ? met : []) heirs.asked.add(payment);
    await recover(crashed, left, heirs, tally);
  } catch (error) {
    if (!(error instanceof Missed)) throw error;
    agenda.again(kill, error);
    await crashed?.release();
    await onDeath?.();
    // They were sent, so they are to have an end like any others.
    await Promise.all(error.payments.map(payment => heirs.caller.untilTold(payment, heirs.urls)));
  }
}

function count({ holder, place, recovery, wish }: Kill, batchSize: number, tally: Tally): void {
  tally.count(faultOf(place, holder));
  tally.count(`kill of a ${holder}`);
  tally.count(`kill of a ${holder} at ${place.family}`);
  tally.count(`place ${place.id}, ${holder}`);
  tally.count(`after ${place.family} of a ${holder}: ${recovery} first`);
  if (wish === 'refund') tally.count(withRefunds);
  if (place.strike.by === 'event') tally.count(`fault point ${place.strike.point}@${place.stage}, ${holder}`);
  if (place.isShared && batchSize > 1) tally.count(`kill of a batch at ${place.family} of a ${holder}`);
}
