import { setTimeout as sleep } from 'node:timers/promises';
import { armsOf } from './arm-pair.js';
import { bankKillPoints } from './bank-kill-points.js';
import type { BankPair } from './bank-pairs.js';
import type { BankStage } from './bank-stage.js';
import {
  isHeld,
  isLeftAsItShould,
  lookAt,
  pay,
  raiseBarrier,
  type Place,
  type StruckPair,
} from './strike-pair.js';

/** Everybody's requests have to be held at the same moment, each by a bank that is about to go down. */
export const outageEnv = {
  BANK_REQUEST_TIMEOUT_MS: '10000',
  BANK_TIMEOUT_MS: '10500',
  LEASE_MS: '11000',
};

/** A dozen APIs that all have just begun are slow. */
const reachedWithinMs = 9_000;

/** How long the bank stays away after the last lease has run out, so that whoever takes over meets nobody. */
const awayAfterLeasesMs = 1_000;

/** How long a holder may take to die of what the bank's end does to it. */
const diesWithinMs = 12_000;

/** How long is waited for everybody to be told once the bank is back, in milliseconds: the next outage is theirs. */
const toldWithinMs = 15_000;

/** Whoever was not met where it was to die is tried in another outage. */
const outagesMax = 5;

/**
 * F53 at every kill point in one outage, each in a lane of its own.
 *
 * @throws Error when one of them was never met at its kill point: a crash somewhere else proves nothing
 */
export async function strikeInAnOutage(
  stage: BankStage,
  survivor: string,
  pairs: readonly BankPair[],
): Promise<StruckPair[]> {
  const struck: StruckPair[] = [];
  let left = pairs;
  for (let misses = 0; misses < outagesMax && left.length > 0; misses += 1) {
    const met = await goThroughAnOutage(
      left.map(pair => new OutageCase(stage, survivor, pair, misses)),
      stage,
    );
    struck.push(...met);
    left = left.filter(pair => !met.some(each => each.pair === pair));
  }
  if (left.length === 0) return struck;
  throw new Error(
    `not met at their kill point in ${outagesMax} outages: ${left.map(({ name }) => name).join()}`,
  );
}

/**
 * First everybody comes as far as one can while the bank is up; then the bank is killed, with whatever requests it holds;
 * then those pay who die of its absence. All of them come back while it is still away.
 *
 * @returns those that died where they should have
 */
async function goThroughAnOutage(cases: readonly OutageCase[], stage: BankStage): Promise<StruckPair[]> {
  await twoAtOnce(cases, each => each.arm());
  // As close together as can be: nobody's patience may end before all have come so far.
  await Promise.all(cases.map(each => each.comeSoFar()));
  await Promise.all(cases.map(each => each.dieAtTheBank()));
  await stage.bank.kill();
  await Promise.all(cases.map(each => each.dieOfItsAbsence()));
  const met = await Promise.all(cases.map(each => each.look()));
  await twoAtOnce(cases, each => each.comeBack());
  // Whoever has died had claimed before.
  const lastLeaseEnds = Math.max(...cases.map(({ diedAt }) => diedAt)) + Number(outageEnv.LEASE_MS);
  await sleep(Math.max(0, lastLeaseEnds - Date.now()) + awayAfterLeasesMs);
  await stage.bank.restart();
  await Promise.race([
    Promise.all(cases.map(each => each.isTold())),
    sleep(toldWithinMs, undefined, { ref: false }),
  ]);
  return met.flatMap(each => each ?? []);
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
  readonly name: string;
  private told: StruckPair['told'] | undefined;
  diedAt = 0;
  private isMet = true;

  constructor(
    private readonly stage: BankStage,
    survivor: string,
    private readonly pair: BankPair,
    private readonly misses: number,
  ) {
    const lane = stage.lanes[bankKillPoints.findIndex(({ id }) => id === pair.point.id)];
    if (!lane) throw new Error('an outage needs a lane for each kill point');
    this.place = { stage, lane, survivor };
    this.name = `${pair.name}-${misses + 1}`;
  }

  /** Once in its life: whoever has come back from an outage is armed for the next. */
  async arm(): Promise<void> {
    if (!this.place.lane.api) await this.comeBack();
  }

  comeBack(): Promise<void> {
    const { pair, place, stage } = this;
    // The patience of an outage is longer than what a miss would grant.
    return stage.start(place.lane, armsOf(pair, { stage, deaths: 1, misses: 0 }));
  }

  async isTold(): Promise<void> {
    await this.told;
  }

  /** To the bank's barrier, or to the kill point itself where the bank has still to answer on the way there. */
  async comeSoFar(): Promise<void> {
    if (this.diesOfAbsence && !this.isAsking) return;
    // Who has to lose an answer to its question is held while it asks.
    const { strike } = this.pair.point;
    const heldAt = this.diesOfAbsence ? questionHeld : strike;
    const barrier = heldAt.by === 'bank' ? await raiseBarrier(this.stage, heldAt, this.name) : undefined;
    this.told = pay(this.place, this.name);
    if (barrier === undefined) await this.dies();
    else this.isMet = await isHeld(this.stage, barrier, reachedWithinMs);
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

  /** @returns `undefined` where it did not die where it should have */
  async look(): Promise<StruckPair | undefined> {
    const { diedAt, isMet, misses, name, pair, told } = this;
    const row = (await lookAt(this.stage, [this])).get(name);
    if (!isMet || told === undefined || !(await isLeftAsItShould(this.stage, pair, row))) return undefined;
    return { pair, name, diedAt, faultIds: [], told, misses };
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
    this.isMet &&= api?.stderr().includes('fault point reached') === true;
    this.diedAt = Date.now();
  }
}

const questionHeld = { by: 'bank', method: 'GET', at: 'before' } as const;
