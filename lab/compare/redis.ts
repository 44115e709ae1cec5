import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { end } from '../../bench/child.js';
import { freePort } from '../../start/ports.js';

/** The program of REDIS_SERVER, or the one on the path. */
const program = process.env.REDIS_SERVER || 'redis-server';

/** Of the server that would be started; null: there is none. */
export function redisVersion(): string | null {
  const { error, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return error ? null : (/ v=(\S+)/.exec(stdout)?.[1] ?? null);
}

/** Why there is none; undefined: there is. */
export function whyNoRedis(): string | undefined {
  return redisVersion() !== null
    ? undefined
    : 'there is no redis-server on this machine: install one, or set REDIS_SERVER to it';
}

/** A Redis of a run's own, in memory only. It is never killed: what it loses in a crash is not measured here. */
export class Redis {
  private constructor(
    private readonly child: ChildProcess,
    private readonly port: number,
  ) {}

  static async start(): Promise<Redis> {
    const port = await freePort();
    const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    const child = spawn(program, args, { stdio: 'ignore', detached: process.platform !== 'win32' });
    const redis = new Redis(child, port);
    for (let tries = 0; tries < 100; tries += 1) {
      if (await redis.say('PING').catch(() => false)) return redis;
      await sleep(50);
    }
    await redis.stop();
    throw new Error('Redis did not get ready.');
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Writers wait; readers do not. */
  async hold(): Promise<void> {
    await this.say('CLIENT PAUSE 10000 WRITE');
  }

  async letGo(): Promise<void> {
    await this.say('CLIENT UNPAUSE');
  }

  async stop(): Promise<void> {
    await end(this.child);
  }

  private async say(command: string): Promise<boolean> {
    const socket = connect(this.port, '127.0.0.1');
    socket.write(`${command}\r\n`);
    const [reply] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return reply.toString().startsWith('+');
  }
}
