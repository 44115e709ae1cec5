import { PostgresProxy } from '../../../../test/support/postgres-proxy.js';
import { TcpProxy } from '../../tcp-proxy.js';
import { Agenda, killAndRecover } from './kill-loop.js';
import { planKills, type Kill } from './plan.js';
import type { Setting } from './setting.js';
import { Victim } from './victim.js';

/** Victims at once. While one dies and its payments recover, the next one of each lane is booting. */
const lanesMax = 2;

/**
 * Kills APIs, with requests in their hands. First all those after which the caller asks again at once: there is no
 * completer at all then, so it cannot be the quicker one. Then those after which the completer comes first.
 */
export async function killRequests(setting: Setting): Promise<void> {
  const { world, tally } = setting;
  const kills = planKills('request', setting);
  await world.kill('worker');
  await inLanes(setting, new Agenda(kills.filter(isFirst('repeat')), tally, setting.say));
  await world.start('worker');
  await inLanes(setting, new Agenda(kills.filter(isFirst('completer')), tally, setting.say));
}

function isFirst(recovery: Kill['recovery']) {
  return (kill: Kill) => kill.recovery === recovery;
}

async function inLanes(setting: Setting, agenda: Agenda): Promise<void> {
  await Promise.all(Array.from({ length: lanesMax }, () => work(setting, agenda)));
}

/** One victim after the other, behind one door and before one way to the database. */
async function work(setting: Setting, agenda: Agenda): Promise<void> {
  const { caller, heirs, tally, world } = setting;
  const door = await TcpProxy.start();
  const link = await PostgresProxy.start(world.postgres.url);
  const boot = async () => {
    const victim = await Victim.api({ world, link, name: setting.nextName('victim'), env: setting.bootEnv });
    setting.watch(victim);
    return victim;
  };
  let next: Promise<Victim> | undefined;
  try {
    for (let kill = agenda.next(); kill; kill = agenda.next()) {
      const victim = await (next ?? boot());
      // Awaited in the next turn, or at the end.
      next = boot();
      next.catch(() => undefined);
      door.pointTo(victim.port);
      const means = { world, victim, caller, door, send: setting.sendTo(door.url) };
      await killAndRecover(kill, means, { heirs, tally, agenda });
      if (agenda.isEmpty) setting.say(`${tally.counts['kill of a request'] ?? 0} requests' holders killed`);
    }
  } finally {
    await (await next)?.process.kill();
    door.stop();
    link.stop();
  }
}
