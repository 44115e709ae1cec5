import { spawnSync } from 'node:child_process';

/** A process that publishes what the engine would, and says what it lived to see. */
const engine = `
  import { channel } from 'node:diagnostics_channel';
  const events = channel('paysam.engine');
  for (const point of ['boarding', 'committed', 'boarding', 'committed']) {
    events.publish({ point });
    process.stdout.write(point + '\\n');
  }`;

function run(faultPoint: string) {
  const { stdout, stderr, signal } = spawnSync(
    process.execPath,
    ['--import', './test/support/fault-points.ts', '--input-type=module', '--eval', engine],
    { env: { ...process.env, FAULT_POINT: faultPoint }, encoding: 'utf8' },
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

  test('only if the event comes', () => {
    expect(run('committed:3')).toEqual({ lived: 4, stderr: '', signal: null });
  });
});
