import { spawnSync } from 'node:child_process';

/** A process that publishes what the engine would, and says what it lived to see. */
const engine = `
  import { channel } from 'node:diagnostics_channel';
  const events = channel('paysam.engine');
  for (const point of ['boarding', 'committed', 'boarding', 'committed']) {
    events.publish({ point });
    process.stdout.write(point + '\\n');
  }`;

function run(faultPoint: string, more: Record<string, string> = {}, program = engine) {
  const { stdout, stderr, signal } = spawnSync(
    process.execPath,
    ['--import', './test/support/fault-points.ts', '--input-type=module', '--eval', program],
    { env: { ...process.env, FAULT_POINT: faultPoint, ...more }, encoding: 'utf8' },
  );
  return { lived: stdout.split('\n').length - 1, stderr, signal };
}

describe('a process is killed', () => {
  test('at the event that was named, and says so first', () => {
    expect(run('committed')).toEqual({
      lived: 1,
      stderr: 'fault point reached: committed\n',
      signal: 'SIGKILL',
    });
  });

  test('when the event comes for the n-th time', () => {
    expect(run('committed:2')).toMatchObject({ lived: 3, signal: 'SIGKILL' });
  });

  test('only for an attempt of the epoch that was asked for, and says how many were', () => {
    const attempts = [{ epoch: 1 }, { epoch: 2 }, { epoch: 1 }];
    const batches = `
      import { channel } from 'node:diagnostics_channel';
      for (const attempts of [[{ epoch: 2 }], ${JSON.stringify(attempts)}])
        channel('paysam.engine').publish({ point: 'committed', attempts, batchSize: attempts.length });`;
    expect(run('committed', { FAULT_EPOCH: '1' }, batches)).toMatchObject({
      stderr: 'fault point reached: committed, batch of 3, 2 of them meant\n',
      signal: 'SIGKILL',
    });
  });

  test('only if the event comes', () => {
    expect(run('committed:3')).toEqual({ lived: 4, stderr: '', signal: null });
  });
});

describe('a process stalls', () => {
  test('at the event that was named, and goes on by itself', () => {
    const began = performance.now();
    const stalled = run('committed', { FAULT_SIGNAL: 'STALL', FAULT_STALL_MS: '700' });
    expect(stalled).toEqual({ lived: 4, stderr: 'fault point reached: committed\n', signal: null });
    expect(performance.now() - began).toBeGreaterThan(700);
  });
});

describe('a clock is wrong', () => {
  test('from the first line on, and steps back while the process runs', () => {
    const program = `
      const first = Date.now();
      setTimeout(() => console.log(JSON.stringify({ first, second: Date.now() })), 300);`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--import', './test/support/shifted-clock.ts', '--input-type=module', '--eval', program],
      {
        env: {
          ...process.env,
          CLOCK_SHIFT_MS: '7200000',
          CLOCK_STEP_MS: '-3600000',
          CLOCK_STEP_AFTER_MS: '50',
        },
        encoding: 'utf8',
      },
    );
    const { first, second } = JSON.parse(stdout) as { first: number; second: number };
    expect(first - Date.now()).toBeGreaterThan(7_100_000);
    expect(second - first).toBeLessThan(-3_500_000);
    expect(stderr).toContain('the clock was set\n');
  });
});
