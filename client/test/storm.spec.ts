import { execFile } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { figuresOf, type Figures } from '../storm/figures.js';
import { outages, type OutageName } from '../storm/outages.js';
import { policies, type Policy, type PolicyName } from '../storm/policies.js';
import { findOut, putInto } from '../storm/report.js';
import { settingFor, simulate } from '../storm/simulate.js';
import { sumOf } from '../storm/tally.js';

const policyNames = Object.keys(policies) as PolicyName[];
const outageNames = Object.keys(outages) as OutageName[];
const seeds = [2, 3, 4];

function weather(seed: number, policy: PolicyName, outage: OutageName, clients = 50): Figures {
  return figuresOf(simulate(settingFor(clients, seed), policies[policy], outages[outage]));
}

/** A recovery that did not come is later than all that did. */
function recovery({ recoverySeconds }: Figures): number {
  return recoverySeconds ?? Infinity;
}

describe('the storm is the same again', () => {
  it.each(outageNames)('for the same seed: %s', outage => {
    for (const policy of policyNames)
      expect(weather(7, policy, outage, 20)).toEqual(weather(7, policy, outage, 20));
  });

  it('and another for another seed', () => {
    expect(weather(7, 'budget', 'refuses')).not.toEqual(weather(8, 'budget', 'refuses'));
  });

  it('meets every policy with the very same calls', () => {
    const begun = policyNames.map(policy =>
      simulate(settingFor(50, 3), policies[policy], outages['slow-down']).tally.begunIn.join(),
    );
    expect(new Set(begun).size).toBe(1);
  });
});

describe('nothing is lost in the storm, and nothing counted twice', () => {
  const cases = outageNames.flatMap(outage => policyNames.map(policy => ({ outage, policy })));

  it.each(cases)('$outage, $policy', ({ outage, policy }) => {
    const run = simulate(settingFor(50, 11), policies[policy], outages[outage]);
    const figures = figuresOf(run);
    const { tally } = run;

    // What has not ended began less than a deadline ago. A call that ended twice would make these too few.
    const { deadlineMs } = policies[policy].limits;
    const young = sumOf(tally.begunIn, Math.max(0, tally.lastsMs - deadlineMs), tally.lastsMs);
    expect(figures.underWay).toBeGreaterThanOrEqual(0);
    expect(figures.underWay).toBeLessThanOrEqual(young);
    expect(sumOf(tally.begunIn, 0, tally.lastsMs)).toBe(figures.calls);
    expect(sumOf(tally.endedWellIn, 0, tally.lastsMs)).toBe(figures.endedWell);
    expect(sumOf(tally.sendsIn, 0, tally.lastsMs)).toBe(figures.sends);

    // Every call is sent once before anything is a retry, unless a breaker turned it away.
    const firstSends = figures.sends - figures.retries;
    if (policies[policy].breaker) expect(firstSends).toBeLessThanOrEqual(figures.calls);
    else expect(firstSends).toBe(figures.calls);
    expect(figures.wasted).toBeLessThanOrEqual(1);
  });
});

describe('a server that can do everything', () => {
  it.each(policyNames)('is sent each call exactly once, whatever the policy: %s', policy => {
    const setting = { ...settingFor(50, 5), server: { workers: Infinity, serviceMs: 50 }, quietMs: 60_000 };
    const figures = figuresOf(simulate(setting, policies[policy], null));

    expect(figures.calls).toBeGreaterThan(2_000);
    expect(figures).toMatchObject({
      sends: figures.calls,
      retries: 0,
      amplification: { overall: 1 },
      wasted: 0,
      recoverySeconds: 0,
    });
    expect(Object.values(figures.gaveUp)).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('what docs/retries.md claims holds for other seeds as well', () => {
  it.each(seeds)('without a budget a slow-down never ends; with one it does (seed %d)', seed => {
    const of = (policy: PolicyName) => weather(seed, policy, 'slow-down');
    for (const policy of ['no backoff', 'exponential', 'full jitter'] as const) {
      expect(recovery(of(policy))).toBe(Infinity);
      expect(of(policy).amplification.overall).toBeGreaterThan(3);
      expect(of(policy).wasted).toBeGreaterThan(0.8);
    }
    expect(recovery(of('budget'))).toBeLessThan(Infinity);
    expect(recovery(of('smaller budget'))).toBeLessThan(recovery(of('budget')) * 0.6);
    expect(recovery(of('breaker'))).toBeLessThan(recovery(of('budget')) * 0.5);
    expect(recovery(of('no retries'))).toBeLessThan(recovery(of('budget')) * 0.5);
  });

  it.each(seeds)('a server that sheds load is well again at once, whoever calls (seed %d)', seed => {
    for (const policy of policyNames)
      expect(recovery(weather(seed, policy, 'slow-down-shed'))).toBeLessThanOrEqual(8);
  });

  it.each(seeds)('no policy is sent more than the one before it (seed %d)', seed => {
    const careful: PolicyName[] = ['no backoff', 'full jitter', 'budget', 'smaller budget'];
    for (const outage of ['refuses', 'black-hole', 'slow-down', 'unavailable'] as const) {
      const figures = careful.map(policy => weather(seed, policy, outage));
      figures.slice(1).forEach((each, index) => {
        const before = figures[index] as Figures;
        // With a little slack, for chance.
        expect(each.busiestSecond).toBeLessThanOrEqual(before.busiestSecond * 1.1);
        expect(each.amplification.overall).toBeLessThanOrEqual(before.amplification.overall * 1.01);
      });
    }
  });

  it.each(seeds)('jitter breaks the wave of those who lost their connections together (seed %d)', seed => {
    const wave = (jitter: Policy['backoff']['jitter']) => {
      const backoff = { ...policies.exponential.backoff, jitter };
      const run = simulate(
        settingFor(200, seed),
        { ...policies.exponential, backoff },
        outages['lost-connections'],
      );
      return figuresOf(run).busiest10Ms;
    };
    expect(wave('equal')).toBeLessThan(wave('none') * 0.4);
    expect(wave('full')).toBeLessThan(wave('none') * 0.3);
    expect(wave('decorrelated')).toBeLessThan(wave('full'));
  });

  it.each(seeds)(
    'whoever is told the moment of return comes back at that moment, jitter or not (seed %d)',
    seed => {
      const back = weather(seed, 'full jitter', 'unavailable-until').firstSecondBack;
      const quiet = weather(seed, 'no retries', 'unavailable-until').firstSecondBack;
      expect(back).toBeGreaterThan(quiet * 20);
    },
  );
});

describe('the retry budget, in an outage', () => {
  it('is never overdrawn, whatever it costs, and each process gets no more retries than it holds', () => {
    fc.assert(
      fc.property(
        fc.record({
          seed: fc.integer({ min: 1, max: 1_000_000 }),
          capacity: fc.integer({ min: 0, max: 120 }),
          retryCost: fc.integer({ min: 1, max: 20 }),
          timeoutRetryCost: fc.integer({ min: 1, max: 20 }),
          successGain: fc.integer({ min: 0, max: 5 }),
        }),
        fc.constantFrom('refuses' as const, 'black-hole' as const),
        ({ seed, ...budget }, kind) => {
          const clients = 5;
          const setting = { ...settingFor(clients, seed), quietMs: 0 };
          // Down from the first to the last moment: nothing is ever given back.
          const outage = { ...outages[kind], watchMs: 0 };
          const { tally } = simulate(setting, { ...policies['full jitter'], budget }, outage);

          const cost = kind === 'refuses' ? budget.retryCost : budget.timeoutRetryCost;
          expect(tally.leastTokens).toBeGreaterThanOrEqual(0);
          expect(tally.retries).toBeLessThanOrEqual(clients * Math.floor(budget.capacity / cost));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is never overdrawn where some requests fail and others succeed', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (seed, failing) => {
          const outage = {
            tells: '',
            lastsMs: 30_000,
            watchMs: 0,
            condition: () => ({ kind: 'patchy', failing }) as const,
          };
          const { tally } = simulate(
            settingFor(5, seed),
            { ...policies.budget, budget: { capacity: 40 } },
            outage,
          );
          expect(tally.leastTokens).toBeGreaterThanOrEqual(0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps the extra load to a tenth once a process has made a thousand calls, and not before', () => {
    const extra = (calls: number) => {
      const outage = { ...outages.refuses, watchMs: 0 };
      const setting = { ...settingFor(10, 3), betweenCallsMs: outage.lastsMs / calls, quietMs: 0 };
      const { retries, calls: made } = figuresOf(simulate(setting, policies.budget, outage));
      return retries / made;
    };
    expect(extra(1_000)).toBeLessThan(0.105);
    expect(extra(500)).toBeGreaterThan(0.19);
    expect(extra(60)).toBeGreaterThan(1.5);
  });
});

describe('npm run storm', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'storm-'));
  afterAll(() => {
    rmSync(scratch, { recursive: true });
  });
  const storm = (...args: string[]) =>
    new Promise<{ code: unknown; stdout: string; stderr: string }>(resolve => {
      execFile(process.execPath, ['client/dist/storm/main.js', ...args], (error, stdout, stderr) => {
        resolve({ code: error ? error.code : 0, stdout, stderr });
      });
    });

  it('prints the tables of docs/retries.md, all of them, and draws its picture', async () => {
    const [page, picture] = ['retries.md', 'storm.svg'].map(name => join(scratch, name)) as [string, string];
    copyFileSync('docs/retries.md', page);
    const { code } = await storm('--markdown', page, '--svg', picture);
    expect(code).toBe(0);

    const text = readFileSync(page, 'utf8');
    expect(text).toBe(readFileSync('docs/retries.md', 'utf8'));
    for (const section of [...outageNames, 'waits', 'refused', 'timed out', 'partial'])
      expect(text).toContain(`<!-- storm: ${section} -->\n\n| `);
    expect(readFileSync(picture, 'utf8')).toBe(readFileSync('docs/storm.svg', 'utf8'));
  }, 240_000);

  it('tells as one object what it found out', async () => {
    const { stdout } = await storm('--outage', 'blip', '--clients', '20', '--seed', '3', '--json');
    const { storms } = JSON.parse(stdout) as { storms: { policy: string; figures: Figures }[] };
    const expected = policyNames.map(policy => ({
      outage: 'blip',
      policy,
      figures: figuresOf(simulate(settingFor(20, 3), policies[policy], outages.blip)),
    }));
    expect(storms).toEqual(expected);
  });

  it.each([
    [['--outage', 'drizzle'], 'There is no outage "drizzle".'],
    [['--clients', '0'], '--clients is "0".'],
    [['--seed', 'x'], '--seed is "x".'],
    [['--rain'], "Unknown option '--rain'"],
    [['--outage', 'blip', '--markdown', 'docs/retries.md'], '--markdown needs all outages'],
  ])('says what is wrong with %j, and shows how it is used', async (args, message) => {
    const { code, stdout, stderr } = await storm(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain('npm run storm -- --help');
  });

  it('leaves a page alone that asks for a table that there is not', () => {
    const page = '<!-- storm: drizzle -->\n\n<!-- storm: end -->\n';
    expect(() => putInto(page, findOut(settingFor(10, 1), 'blip'))).toThrow('There is no section "drizzle".');
  });
});
