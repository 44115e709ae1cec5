import type { Act, ActResult, Stage } from '../act.js';
import { killCompleters } from './kill-points/completers.js';
import { timesOf } from './kill-points/plan.js';
import { killRequests } from './kill-points/requests.js';
import { Setting, type Extent } from './kill-points/setting.js';
import { beSlow, wantedSlowness } from './kill-points/slow-bank.js';
import { wantedStandstills } from './kill-points/standstills.js';
import { wantedKills } from './kill-points/wanted.js';
import { standStill } from './kill-points/zombies.js';
import { checkTheBankWasAsked } from './kill-points/asked.js';

/**
 * Every kill point of the design, on purpose: a real process dies with SIGKILL at exactly that place, with payments in
 * its hands, and then somebody brings them to their end. K10 and K11 are the relay's, which does not exist.
 *
 * In two worlds at once, since a completer takes over whatever it finds: in one the holders that die are APIs, in the
 * other completers. Half of the time somebody waits there for a lease to run out, and the other one has the machine.
 */
export const killPoints: Act = {
  name: 'kill-points',
  about: 'kills APIs and completers at every place where a payment can die',
  perform: stage => performKills(stage),
};

/** @param most of each place, for a test of the act itself */
export async function performKills({ scale, seed, say }: Stage, most?: number): Promise<ActResult> {
  const extent = { seed, times: timesOf[scale], most, say };
  const parts = await Promise.all([ofRequests(extent), ofCompleters(extent)]);
  const sum = (of: (part: (typeof parts)[number]) => number) =>
    parts.reduce((total, part) => total + of(part), 0);
  const counts: Record<string, number> = {};
  for (const part of parts) {
    for (const [what, times] of Object.entries(part.counts)) counts[what] = (counts[what] ?? 0) + times;
  }
  return {
    name: killPoints.name,
    violations: parts.flatMap(({ violations }) => violations),
    operations: sum(({ operations }) => operations),
    requests: sum(({ requests }) => requests),
    counts,
    wanted: Object.assign({}, ...parts.map(({ wanted }) => wanted)) as Record<string, number>,
    timesMs: Object.assign({}, ...parts.map(({ timesMs }) => timesMs)) as Record<string, number[]>,
  };
}

type Extended = Extent & Pick<Stage, 'say'>;

async function ofRequests(extent: Extended) {
  const wanted = {
    ...wantedKills('request', extent),
    ...wantedStandstills(extent),
    ...wantedSlowness(extent),
  };
  return inSetting(extent, wanted, async setting => {
    await killRequests(setting);
    await Promise.all([standStill(setting), beSlow(setting)]);
  });
}

async function ofCompleters(extent: Extended) {
  return inSetting(extent, wantedKills('completer', extent), killCompleters);
}

async function inSetting(
  extent: Extended,
  wanted: Record<string, number>,
  work: (setting: Setting) => Promise<void>,
) {
  const setting = await Setting.open(extent);
  try {
    await work(setting);
    const judged = await setting.judge(wanted);
    return {
      ...judged,
      wanted,
      violations: [...judged.violations, ...checkTheBankWasAsked(judged.witnesses, setting.asked)],
    };
  } finally {
    await setting.close();
  }
}
