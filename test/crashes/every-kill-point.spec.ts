import { cells, killPoints, nameOf, type Cell } from './kill-points.js';
import { Matrix, matrixToText, type Result } from './matrix.js';
import { recoveredWithinMs } from './recover.js';

/**
 * A payment through the other bank is killed at every place where it can die, in whoever's hands it is then, and
 * recovered in every way there is. Whatever the combination: one charge, one payment, one answer (I1 to I7).
 *
 * Real processes, killed with SIGKILL. A cell fails as well when its victim did not die exactly there.
 */
describe('wherever a payment dies, it is paid once', () => {
  const chosen = choose(process.env.KILL_POINTS);
  const matrix = new Matrix(chosen);
  const ends = new Map<Cell, Result | Error>();

  beforeAll(() => {
    matrix.start();
  });

  afterAll(async () => {
    await matrix.stop();
    const slowest = Math.max(
      ...[...ends.values()].map(end => ('recoveredInMs' in end ? (end.recoveredInMs ?? 0) : 0)),
    );
    process.stdout.write(
      `\n${matrixToText(ends)}\n\n${ends.size} crashes; slowest recovery ${Math.round(slowest)} ms of ` +
        `${recoveredWithinMs} ms; (3): a transaction of three payments.\n` +
        `The money was looked at ${matrix.watched.reads} times meanwhile.\n\n`,
    );
  }, 60_000);

  it.each(chosen.map(cell => [nameOf(cell), cell] as const))(
    '%s',
    async (_, cell) => {
      const result = await matrix.results.get(cell)?.promise.catch((error: unknown) => error as Error);
      if (!result) throw new Error('there is no such cell');
      ends.set(cell, result);
      if (!('recoveredInMs' in result)) throw result;
      expect(result.recoveredInMs ?? 0).toBeLessThan(recoveredWithinMs);
      expect(result.evidence).not.toBe('');
    },
    120_000,
  );

  it('while all that happened, no money was made or lost, and nothing was charged that was not promised (I4)', async () => {
    await matrix.finished();
    expect(matrix.watched.violations).toEqual([]);
    expect(matrix.watched.reads).toBeGreaterThan(chosen.length);
  }, 120_000);

  it('every place was really met: nothing here passed without its crash (I15)', () => {
    const met = new Map(chosen.map(({ point }) => [point.id, 0]));
    for (const [{ point }, end] of ends) {
      if ('recoveredInMs' in end) met.set(point.id, (met.get(point.id) ?? 0) + 1);
    }
    const expected = chosen.map(({ point: { id } }) => [
      id,
      chosen.filter(({ point }) => point.id === id).length,
    ]);
    expect([...met]).toEqual([...new Map(expected as [string, number][])]);
  });

  /** All of them, unless a developer is after one: KILL_POINTS='K6 T2,K3p'. */
  function choose(ids: string | undefined): Cell[] {
    if (!ids) return [...cells];
    const wanted = ids.split(',').map(id => id.trim());
    const unknown = wanted.filter(id => !killPoints.some(point => point.id === id));
    if (unknown.length > 0) throw new Error(`there is no kill point ${unknown.join(', ')}`);
    return cells.filter(({ point }) => wanted.includes(point.id));
  }
});
