import { setTimeout as sleep } from 'node:timers/promises';
import { startApi, startWorker, type RealProcess } from '../../../../test/support/api-process.js';
import type { PostgresProxy } from '../../../../test/support/postgres-proxy.js';
import { settings, type World } from '../../world.js';
import type { Order, Struck } from './trigger.js';

/** How often it is looked whether a process has said something, in milliseconds. */
const lookEveryMs = 3;

/** How long a process may take to hear what it is told: a completer may still be booting. */
const hearsWithinMs = 30_000;

/** How often a process is started that does not get ready in time: two cores are shared with many. */
const bootsMax = 3;

export interface Start {
  readonly world: World;
  /** Its way to the database. */
  readonly link: PostgresProxy;
  /** The writer's name in the history of keys: nobody else's, so that what it did can be told from its heirs' doing. */
  readonly name: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A real process that dies, stops or stalls where it is told to. See trigger.ts. */
export class Victim {
  private linesRead = 0;

  private constructor(
    readonly name: string,
    readonly process: RealProcess,
    readonly link: PostgresProxy,
    /** Of an API; a worker has none. */
    readonly url: string,
    readonly port: number,
  ) {}

  /** @throws Error when it does not get ready, however often it is tried on a machine that is too busy */
  static async api(start: Start): Promise<Victim> {
    for (let tries = 1; ; tries += 1) {
      try {
        const api = await startApi(optionsOf(start));
        return new Victim(start.name, api, start.link, api.url, api.port);
      } catch (error) {
        if (tries === bootsMax) throw error;
      }
    }
  }

  /** The completer alone. It is at work from now on, or as soon as its way to the database is open. */
  static completer(start: Start): Victim {
    const worker = startWorker({ ...optionsOf(start), args: ['completer'] });
    return new Victim(start.name, worker, start.link, '', 0);
  }

  /** Resolves once it listens: what is sent from now on meets it armed. */
  async arm(order: Order): Promise<void> {
    this.linesRead = this.process.stderr().length;
    this.process.send(order);
    const heard = await this.hears(() => this.said().includes('armed\n'), hearsWithinMs);
    if (!heard) throw new Error(`${this.name} does not listen:\n${this.process.stderr()}`);
  }

  /** What it said as it struck, since it was armed last; `undefined` when it has not by then. */
  async struck(withinMs: number, isInVain: () => boolean = () => false): Promise<Struck | undefined> {
    const line = /struck (.*)\n/;
    await this.hears(() => line.test(this.said()), withinMs, isInVain);
    const [, json] = line.exec(this.said()) ?? [];
    return json === undefined ? undefined : (JSON.parse(json) as Struck);
  }

  private said(): string {
    return this.process.stderr().slice(this.linesRead);
  }

  private async hears(isSo: () => boolean, withinMs: number, isInVain = () => false): Promise<boolean> {
    const until = performance.now() + withinMs;
    while (!isSo() && !isInVain() && performance.now() < until) await sleep(lookEveryMs);
    return isSo();
  }
}

function optionsOf({ world, link, name, env }: Start) {
  const databaseUrl = Object.assign(new URL(link.url), { search: `application_name=${name}` }).href;
  return {
    databaseUrl,
    imports: ['./lab/prove/acts/kill-points/trigger.ts'],
    env: { ...settings, ...world.bank.env, BANK_URL: world.bankLink.url, ...env },
  };
}
