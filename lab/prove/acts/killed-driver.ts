import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '../act.js';
import { Random } from '../random.js';
import type { Part } from './part.js';
import type { Scene } from './scene.js';

const kills = { gate: 10, long: 100 };

/** How much a life writes down before it ends, in bytes: some ten exchanges, so that each life does something. */
const lifeBytes = { least: 5_000, most: 20_000 };

/** A process that boots on a busy machine may need seconds for it. */
const lifeMsMax = 20_000;

/**
 * The caller itself is killed, again and again, in the middle of everything. Its successor finds the journal, resumes
 * what it holds, and goes on in the same log: what was meant once is paid once, whichever life has sent it.
 */
export async function killedDriver(scene: Scene, { scale, seed, say }: Stage): Promise<Part> {
  const { world } = scene;
  const journal = join(world.folder, 'journal-of-the-mortal');
  const log = scene.log('mortal');
  const random = Random.of(seed, 'lives');
  const live = () =>
    scene.drive({
      name: 'mortal',
      seed,
      urls: [world.doors['api-1'].url, world.doors['api-2'].url],
      callers: world.callers(),
      sender: 'client',
      journal,
      atOnce: 8,
      thinkMs: 20,
    });
  let leftBehind = 0;
  for (let death = 1; death <= kills[scale]; death += 1) {
    const enough = sizeOf(log) + random.between(lifeBytes.least, lifeBytes.most);
    const driver = live();
    await until(() => sizeOf(log) >= enough);
    driver.kill();
    await driver.gone;
    leftBehind += entriesIn(journal);
  }
  say(`${kills[scale]} drivers killed, ${leftBehind} payments left in their journals`);
  // Told to stop before it has begun it would just die: where nothing was left behind, its first words are waited for.
  const before = sizeOf(log);
  const last = live();
  await until(() => sizeOf(log) > before && entriesIn(journal) === 0);
  last.stop();
  await last.ended(45_000);
  return {
    counts: { 'drivers killed': kills[scale], 'payments left in the journal of the dead': leftBehind },
    wanted: { 'drivers killed': kills[scale], 'payments left in the journal of the dead': kills[scale] },
    timesMs: {},
    found: [],
  };
}

async function until(isTrue: () => boolean): Promise<void> {
  const end = performance.now() + lifeMsMax;
  while (!isTrue() && performance.now() < end) await sleep(10);
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** One file for each payment whose outcome its caller does not know. */
function entriesIn(folder: string): number {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    return names.filter(name => name.endsWith('.json')).length;
  } catch {
    // The first life may have ended before it wrote anything.
    return 0;
  }
}
