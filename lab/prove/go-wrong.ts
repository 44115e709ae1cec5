import { setTimeout as sleep } from 'node:timers/promises';
import { isTrap, nameOf, placesOf, type Fault } from './fault.js';
import type { Schedule, Scheduled } from './schedule.js';
import { strike } from './strike.js';
import { victims, type Victim, type World } from './world.js';

/** How often it is looked whether somebody has died at a fault point, in milliseconds. */
const lookEveryMs = 50;

/**
 * How long somebody who comes back meets every fault of the database, in milliseconds: half of a start. Were it more, the
 * next fault would often be sooner, and the run would be one of starts that fail, with nobody up to be killed.
 */
const bornWithinMs = 500;

/** Kills between two lines of progress. */
const sayEvery = 25;

export interface GoneWrong {
  /** How often each fault was begun, under its name. */
  readonly struck: Readonly<Record<string, number>>;
  /** What part of the time at least one was active, between 0 and 1. */
  readonly activeShare: number;
}

/**
 * Lets it go wrong as it was drawn: each fault at its time, several at once at different places. A kill waits until its
 * victim is there to be killed. Any other fault whose place is still busy is left out, and they go on until
 * the last kill.
 */
export async function goWrong(
  world: World,
  schedule: Schedule,
  say: (line: string) => void,
): Promise<GoneWrong> {
  const begun = new Trouble(world);
  const watching = begun.watch();
  try {
    await Promise.all([begun.eachInTurn(schedule.kills, say), begun.eachInTime(schedule)]);
    await begun.allOver();
  } finally {
    begun.stop();
    await watching;
  }
  return { struck: begun.struck, activeShare: begun.activeShare };
}

class Trouble {
  readonly struck: Record<string, number> = {};
  private readonly busy = new Map<string, Promise<void>>();
  private readonly busySince = new Map<string, number>();
  private readonly began = performance.now();
  private readonly looks = { all: 0, active: 0 };
  private failure: unknown;
  private isOver = false;
  private areKillsOver = false;

  constructor(private readonly world: World) {}

  get activeShare(): number {
    return this.looks.active / Math.max(1, this.looks.all);
  }

  async eachInTurn(scheduled: readonly Scheduled[], say: (line: string) => void): Promise<void> {
    for (const [nth, { atMs, fault, restMs = 0 }] of scheduled.entries()) {
      if (nth > 0 && nth % sayEvery === 0) say(`faults: ${nth} of ${scheduled.length} kills`);
      await this.until(atMs);
      const places = placesOf(fault);
      for (let waited; (waited = this.workAt(places)).length > 0;) {
        await Promise.all(waited);
        await sleep(restMs);
      }
      this.strike(fault);
    }
    this.areKillsOver = true;
  }

  async eachInTime({ lengthMs, troubles }: Schedule): Promise<void> {
    for (const { atMs, fault } of troubles) {
      if (atMs > lengthMs && this.areKillsOver) return;
      await this.until(atMs);
      if (this.workAt(placesOf(fault)).length === 0 && !this.isForSomebodyLate(fault)) this.strike(fault);
    }
  }

  /** Whoever died at a fault point, or by a mistake of ours, comes back. */
  async watch(): Promise<void> {
    while (!this.isOver) {
      for (const victim of victims) {
        if (this.world.hasDied(victim) && !this.busy.has(victim))
          this.begin([victim], () => this.raise(victim));
      }
      this.looks.all += 1;
      if (this.busy.size > 0) this.looks.active += 1;
      await sleep(lookEveryMs);
    }
  }

  async allOver(): Promise<void> {
    while (this.busy.size > 0) await Promise.all(this.busy.values());
    this.throwFailure();
  }

  stop(): void {
    this.isOver = true;
  }

  private strike(fault: Fault): void {
    this.begin(placesOf(fault), () => strike(this.world, fault));
    this.count(isTrap(fault) ? `planned: ${nameOf(fault)}` : nameOf(fault));
    if ('reborn' in fault && fault.reborn.clockMs !== undefined) this.count('a clock two hours wrong');
  }

  private count(name: string): void {
    this.struck[name] = (this.struck[name] ?? 0) + 1;
  }

  /** A failure of the harness is kept, and thrown as soon as somebody waits. */
  private begin(places: readonly string[], work: () => Promise<void>): void {
    const done = work()
      .catch((error: unknown) => {
        this.failure ??= error;
      })
      .finally(() => {
        for (const place of places) this.busy.delete(place);
      });
    for (const place of places) {
      this.busy.set(place, done);
      this.busySince.set(place, performance.now());
    }
  }

  /** Whether it would hit the database of somebody who has tried to come back for long. */
  private isForSomebodyLate(fault: Fault): boolean {
    const places = placesOf(fault);
    const late = performance.now() - bornWithinMs;
    return victims.some(
      victim =>
        (places.includes('postgres') || places.includes(`database of ${victim}`)) &&
        this.busy.has(victim) &&
        (this.busySince.get(victim) ?? Infinity) < late,
    );
  }

  private workAt(places: readonly string[]): Promise<void>[] {
    return places.flatMap(place => this.busy.get(place) ?? []);
  }

  private async until(atMs: number): Promise<void> {
    await sleep(Math.max(0, this.began + atMs - performance.now()));
    this.throwFailure();
  }

  private throwFailure(): void {
    if (this.failure !== undefined) throw this.failure as Error;
  }

  private async raise(victim: Victim): Promise<void> {
    await this.world.kill(victim);
    // A worker ends by itself where it finds no database.
    await this.world.untilDatabaseAnswers();
    await this.world.start(victim);
  }
}
