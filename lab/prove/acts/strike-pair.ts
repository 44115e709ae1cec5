import { setTimeout as sleep } from 'node:timers/promises';
import type { Ended } from '../send.js';
import { keyOf } from './asking.js';
import type { BankStrike } from './bank-kill-points.js';
import type { BankPair } from './bank-pairs.js';
import { armsOf, planFaults, slower } from './arm-pair.js';
import type { BankStage, Lane } from './bank-stage.js';
import { holdRoad } from './hold-road.js';

/** How long a request may take to come to the bank, and a holder to die of its event, in milliseconds. */
const reachedWithinMs = 6_000;
const diesWithinMs = 6_000;

/**
 * How long payments may take to come to the transaction that they are to share: longer than a request that times out. What
 * waits inside a process cannot be seen from here; its own last line tells how many there were.
 */
const gatherMs = 1_900;

/** On a slow machine a request that is held gives up before its sender is killed. Then it is tried anew, and told. */
const triesMax = 5;

/** A pair that came about: the payment, and what there is to be seen of it later. */
export interface StruckPair {
  readonly pair: BankPair;
  readonly name: string;
  /** Epoch milliseconds. */
  readonly diedAt: number;
  readonly faultIds: readonly string[];
  readonly told: Promise<Ended | null>;
  /** Earlier tries that were not met exactly there. */
  readonly misses: number;
}

/** Whom the callers of a lane turn to: first to the API that is to die, then to it and the survivor by turns. */
export interface Place {
  readonly stage: BankStage;
  readonly lane: Lane;
  readonly survivor: string;
}

/**
 * Pairs of one kill point that one death can hit: those that the bank holds at once, or a single one that its own event
 * kills.
 *
 * @throws Error when one of them was never met at its kill point: a crash somewhere else proves nothing
 */
export async function strikePairs(place: Place, pairs: readonly BankPair[]): Promise<StruckPair[]> {
  const struck: StruckPair[] = [];
  let left = pairs;
  for (let misses = 0; misses < triesMax && left.length > 0; misses += 1) {
    const met = await strikeOnce(place, left, misses);
    struck.push(...met);
    left = left.filter(pair => !met.some(each => each.pair === pair));
  }
  if (left.length === 0) return struck;
  throw new Error(`not met at their kill point in ${triesMax} tries: ${left.map(pair => pair.name).join()}`);
}

/** @returns those that were met exactly there */
async function strikeOnce(place: Place, pairs: readonly BankPair[], misses: number): Promise<StruckPair[]> {
  const { stage, lane } = place;
  const [first] = pairs;
  if (!first) return [];
  await stage.start(lane, armsOf(first, { stage, deaths: pairs.length, misses }));
  const underWay: UnderWay[] = [];
  for (const pair of pairs) {
    const name = `${pair.name}-${misses + 1}`;
    underWay.push({ pair, name, misses, faultIds: await planFaults(stage, pair, name) });
  }
  const release = await bringThere(place, underWay);
  await Promise.race([
    lane.api?.exited,
    sleep(first.point.strike.by === 'bank' ? 0 : slower(diesWithinMs, misses)),
  ]);
  await lane.api?.kill();
  const diedAt = Date.now();
  const hasDiedThere = first.point.strike.by === 'bank' || hasDiedAt(lane, underWay);
  const rows = await lookAt(stage, underWay);
  const isMet = await Promise.all(
    underWay.map(async ({ pair, name }) => hasDiedThere && isLeftAsItShould(stage, pair, rows.get(name))),
  );
  await release();
  return underWay.flatMap((each, index) =>
    isMet[index] && each.told ? [{ ...each, told: each.told, diedAt }] : [],
  );
}

interface UnderWay extends Omit<StruckPair, 'diedAt' | 'told'> {
  told?: StruckPair['told'];
}

/**
 * Brings all of them to the kill point together. Those that the bank is to hold are held there. Those that are to share a
 * transaction, or to wait for one, are held at the bank first, then let go while the road is blocked.
 *
 * @returns what lets go of whatever is still held, once their holder is dead
 */
async function bringThere(place: Place, underWay: UnderWay[]): Promise<() => Promise<void>> {
  const { stage, lane } = place;
  const [first] = underWay;
  if (!first) throw new Error('there is nobody to bring');
  const { pair, name } = first;
  const payAll = () => {
    for (const each of underWay) each.told = pay(place, each.name);
  };
  if (pair.isAlone) {
    payAll();
    return () => Promise.resolve();
  }
  const heldAt = pair.point.strike.by === 'bank' ? pair.point.strike : whereHeldBefore(pair);
  const barriers: string[] = [];
  const letGo = async () => {
    for (const id of barriers.splice(0)) await stage.bank.control('DELETE', `/barriers/${id}`);
  };
  if (heldAt) {
    for (const each of underWay) barriers.push(await raiseBarrier(stage, heldAt, each.name));
    payAll();
    await Promise.all(barriers.map(id => isHeld(stage, id)));
  }
  if (pair.point.strike.by === 'bank') return letGo;
  const freeRoad = await holdRoad(stage, lane, { name, urls: [place.survivor, lane.door.url] });
  if (heldAt) await letGo();
  else payAll();
  // They are counted as they come to it; the others come together, and then go on together.
  const isCounted = pair.point.id.startsWith('K5');
  await Promise.race([lane.api?.exited, sleep(slower(isCounted ? diesWithinMs : gatherMs, first.misses))]);
  await freeRoad();
  return letGo;
}

/** Where a payment is held until the road is blocked: before the answer with which it goes on. */
function whereHeldBefore({ point }: BankPair): (BankStrike & { by: 'bank' }) | undefined {
  if (point.id === 'K2p') return undefined;
  const method = point.call === 'pays' || point.id === 'K2q' ? 'PUT' : 'GET';
  return { by: 'bank', method, at: 'before' };
}

export async function raiseBarrier(
  { bank }: BankStage,
  { method, at }: BankStrike & { by: 'bank' },
  creditor: string,
): Promise<string> {
  const { id } = (await bank.control('POST', '/barriers', { at, method, creditor })) as { id: string };
  return id;
}

export function pay({ stage, lane, survivor }: Place, name: string): Promise<Ended | null> {
  // Any amount will do that is not everybody's.
  const amount = 1_000 + ((name.length * 37 + name.charCodeAt(1)) % 9_000);
  const wanted = { name, from: lane.account, to: name, amount, rail: 'bank' as const };
  return stage.asking.pay({ ...wanted, urls: [survivor, lane.door.url] }).then(async told => {
    // Whoever was told asks once more, and is told the same.
    if (told !== null) await stage.asking.pay({ ...wanted, urls: [survivor] });
    return told;
  });
}

/**
 * It says so itself; and in a transaction that was to be shared, all of them were. Payments of earlier deaths may be in
 * it, too: their callers ask at the same door.
 */
function hasDiedAt({ api }: Lane, underWay: readonly UnderWay[]): boolean {
  const [, meant] =
    /fault point reached: [\w@]+, batch of \d+, (\d+) of them meant/.exec(api?.stderr() ?? '') ?? [];
  const isShared = underWay[0]?.pair.point.id.startsWith('K6') === true;
  return meant !== undefined && (!isShared || Number(meant) === underWay.length);
}

export async function isHeld(
  { bank }: BankStage,
  barrier: string,
  withinMs = reachedWithinMs,
): Promise<boolean> {
  const { reached } = (await bank.control('GET', `/barriers/${barrier}?wait_ms=${withinMs}`)) as {
    reached: boolean;
  };
  return reached;
}

/** What the row of a key says of where its holder died. */
interface KeyRow {
  readonly name: string;
  readonly point: string;
  readonly epoch: number;
  readonly payment: string;
  readonly parked: boolean;
}

/** All in one look: their leases run meanwhile, and a hundred looks at once are more than the server has room for. */
export async function lookAt(
  { postgres }: BankStage,
  payments: readonly { readonly name: string }[],
): Promise<ReadonlyMap<string, KeyRow>> {
  const rows = await postgres.sql<KeyRow>(
    `SELECT name, recovery_point AS point, epoch, parked_because IS NOT NULL AS parked, state ->> 'payment_id' AS payment
       FROM unnest($1::text[], $2::text[]) AS wanted (name, key) JOIN idempotency_keys USING (key)`,
    [payments.map(({ name }) => name), payments.map(({ name }) => keyOf(name))],
  );
  return new Map(rows.map(row => [row.name, row]));
}

/** The row is as a holder leaves it that dies there, and the bank has been asked no more than it should have been. */
export async function isLeftAsItShould(
  { bank }: BankStage,
  { mode, point }: BankPair,
  row: KeyRow | undefined,
): Promise<boolean> {
  if (row?.point !== point.leaves || (point.id !== 'K8' && row.epoch !== 1)) return false;
  // At K8 what is parked has been; before it, nothing has.
  if (row.parked !== (point.id === 'K8' && mode.end === 'parked')) return false;
  // A bank that is down has lost its log; what it held was seen at its barrier.
  if (mode.scene === 'outage') return true;
  if (point.strike.by === 'event' && !/^K2/.test(point.id) && !mode.bankUrls) return true;
  const { PUT, GET } = await bank.requests(row.payment);
  if (point.id === 'K2p' || mode.bankUrls) return PUT + GET === 0;
  // Held is the only order, or, after the only order, the only question.
  return PUT === 1 && GET === (point.call === 'asks' && point.id !== 'K2q' ? 1 : 0);
}
