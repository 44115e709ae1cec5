import { setTimeout as sleep } from 'node:timers/promises';
import { armsOf } from './arm-pair.js';
import type { BankPair } from './bank-pairs.js';
import type { BankStage } from './bank-stage.js';
import { isHeld, isLeftAsItShould, pay, raiseBarrier, type Place, type StruckPair } from './strike-pair.js';

/** Everybody's requests have to be held at the same moment, each by a bank that is about to go down. */
export const outageEnv = {
  BANK_REQUEST_TIMEOUT_MS: '10000',
  BANK_TIMEOUT_MS: '10500',
  LEASE_MS: '11000',
};

/** A dozen APIs that all have just begun are slow, and nothing here is tried twice. */
const reachedWithinMs = 9_000;

/** How long the bank stays away after the last lease has run out, so that whoever takes over meets nobody. */
const awayAfterLeasesMs = 1_000;

/** How long a holder may take to die of what the bank's end does to it. */
const diesWithinMs = 12_000;

/**
 * F53 at every kill point in one outage, each pair in a lane of its own. First everybody comes as far as one can while
 * the bank is up; then the bank is killed, with whatever requests it holds; then those pay who die of its absence.
 * All of them come back while it is still away.
 */
export async function strikeInAnOutage(
  stage: BankStage,
  survivor: string,
  pairs: readonly BankPair[],
): Promise<StruckPair[]> {
  const cases = pairs.map((pair, index) => new OutageCase(stage, survivor, pair, index));
  await twoAtOnce(cases, each => each.arm());
  // As close together as can be: nobody's patience may end before all have come so far.
  await Promise.all(cases.map(each => each.comeSoFar()));
  await Promise.all(cases.map(each => each.dieAtTheBank()));
  await stage.bank.kill();
  await Promise.all(cases.map(each => each.dieOfItsAbsence()));
  const struck = await Promise.all(cases.map(each => each.look()));
  await twoAtOnce(cases, ({ place }) => stage.start(place.lane));
  // Whoever has died had claimed before.
  const lastLeaseEnds = Math.max(...struck.map(({ diedAt }) => diedAt)) + Number(outageEnv.LEASE_MS);
  await sleep(Math.max(0, lastLeaseEnds - Date.now()) + awayAfterLeasesMs);
  await stage.bank.restart();
  return struck;
}

/** As many as there are cores: a dozen processes that start together are all late. */
async function twoAtOnce(
  cases: readonly OutageCase[],
  work: (each: OutageCase) => Promise<void>,
): Promise<void> {
  const left = [...cases];
  const one = async () => {
    for (let each = left.shift(); each; each = left.shift()) await work(each);
  };
  await Promise.all([one(), one()]);
}

class OutageCase {
  readonly place: Place;
  private readonly name: string;
  private told: StruckPair['told'] | undefined;
  private diedAt = 0;

  constructor(
    private readonly stage: BankStage,
    survivor: string,
    private readonly pair: BankPair,
    index: number,
  ) {
    const lane = stage.lanes[index];
    if (!lane) throw new Error('an outage needs a lane for each pair');
    this.place = { stage, lane, survivor };
    this.name = `${pair.name}-1`;
  }

  arm(): Promise<void> {
    return this.stage.start(this.place.lane, armsOf(this.pair, { stage: this.stage, deaths: 1, misses: 0 }));
  }

  /** To the bank's barrier, or to the kill point itself where the bank has still to answer on the way there. */
  async comeSoFar(): Promise<void> {
    const { id } = this.pair.point;
    if (this.diesOfAbsence && !this.isAsking) return;
    // Who has to lose an answer to its question is held while it asks.
    const { strike } = this.pair.point;
    const heldAt = this.diesOfAbsence ? questionHeld : strike;
    const barrier = heldAt.by === 'bank' ? await raiseBarrier(this.stage, heldAt, this.name) : undefined;
    this.told = pay(this.place, this.name);
    if (barrier === undefined) await this.dies();
    else if (!(await isHeld(this.stage, barrier, reachedWithinMs)))
      throw new Error(`${id}: nothing came to the bank`);
  }

  async dieAtTheBank(): Promise<void> {
    if (this.pair.point.strike.by !== 'bank') return;
    await this.place.lane.api?.kill();
    this.diedAt = Date.now();
  }

  async dieOfItsAbsence(): Promise<void> {
    if (!this.diesOfAbsence) return;
    this.told ??= pay(this.place, this.name);
    await this.dies();
  }

  /** @throws Error when it did not die where it should have */
  async look(): Promise<StruckPair> {
    const { pair, name, diedAt, told } = this;
    if (told === undefined || !(await isLeftAsItShould(this.stage, pair, name))) {
      throw new Error(`${pair.name} was not met at its kill point`);
    }
    return { pair, name, diedAt, faultIds: [], told, misses: 0 };
  }

  private get isAsking(): boolean {
    return this.pair.point.call === 'asks';
  }

  /** About to call, calling, or writing down what came of it, when nobody is there. */
  private get diesOfAbsence(): boolean {
    return /^K(2p|5|6)/.test(this.pair.point.id);
  }

  private async dies(): Promise<void> {
    const { api } = this.place.lane;
    await Promise.race([api?.exited, sleep(diesWithinMs, undefined, { ref: false })]);
    if (api?.stderr().includes('fault point reached') !== true) {
      throw new Error(`${this.pair.name}: it never came to its fault point`);
    }
    this.diedAt = Date.now();
  }
}

const questionHeld = { by: 'bank', method: 'GET', at: 'before' } as const;
