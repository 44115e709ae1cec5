import { PostgresProxy } from '../../../../test/support/postgres-proxy.js';
import { Agenda, killAndRecover } from './kill-loop.js';
import { planKills } from './plan.js';
import type { Setting } from './setting.js';
import { Victim } from './victim.js';

/**
 * An API that cannot reach the other bank: it opens payments, tells their callers that they are under way, and leaves
 * them to the completer.
 */
const cutOff = { BANK_URL: 'http://127.0.0.1:9', BANK_REQUESTS_MAX: '1' };

/** Its way to the database stays closed until it is wanted: it must not take that for a database that is away. */
const patient = { CONNECT_TIMEOUT_MS: '60000' };

/**
 * Kills completers, with payments in their hands whose first holder has given them up. There is one at a time: the next
 * one is up already, but kept from the database until it is its turn, to finish what the dead one has left or, where
 * the caller is to come first, to find that finished.
 */
export async function killCompleters(setting: Setting): Promise<void> {
  const { caller, heirs, tally, world } = setting;
  const agenda = new Agenda(planKills('completer', setting), tally, setting.say);
  await world.kill('worker');
  const links = [
    await PostgresProxy.start(world.postgres.url),
    await PostgresProxy.start(world.postgres.url),
  ];
  const opener = await Victim.api({
    world,
    link: world.databaseLinks['api-1'],
    name: 'opener-1',
    env: cutOff,
  });
  setting.watch(opener);
  const started: Victim[] = [opener];
  const startOn = (link: PostgresProxy) => {
    link.goSilent();
    const victim = Victim.completer({
      world,
      link,
      name: setting.nextName('completer'),
      env: { ...patient, ...setting.bootEnv },
    });
    started.push(victim);
    setting.watch(victim);
    return victim;
  };
  try {
    let [link, other] = links as [PostgresProxy, PostgresProxy];
    let victim = startOn(link);
    await link.heal();
    for (let kill = agenda.next(); kill; kill = agenda.next()) {
      const next = startOn(other);
      const means = { world, victim, caller, send: setting.sendTo(opener.url) };
      const { recovery } = kill;
      await killAndRecover(kill, means, {
        heirs,
        tally,
        agenda,
        onDeath: async () => {
          await link.heal();
          if (recovery === 'completer') await other.heal();
        },
      });
      await other.heal();
      victim = next;
      [link, other] = [other, link];
    }
    setting.say(`${tally.counts['kill of a completer'] ?? 0} completers killed`);
  } finally {
    await Promise.all(started.map(({ process }) => process.kill()));
    for (const each of links) each.stop();
  }
}
