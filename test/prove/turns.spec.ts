import { setTimeout as sleep } from 'node:timers/promises';
import { Turns } from '../../lab/prove/turns.js';

describe('callers who share turns', () => {
  it('are never more at once than there are, and come in their order', async () => {
    const turns = new Turns(3);
    const came: number[] = [];
    let [atOnce, most] = [0, 0];
    const comeAll = (from: number) =>
      Promise.all(
        Array.from({ length: 20 }, (_, nth) =>
          turns.take(async () => {
            came.push(from + nth);
            most = Math.max(most, (atOnce += 1));
            await sleep(nth % 4);
            atOnce -= 1;
          }),
        ),
      );
    await comeAll(0);
    // Those who come once all turns are free again find as many of them.
    await comeAll(20);
    expect(most).toBe(3);
    expect(came).toEqual([...came].sort((one, other) => one - other));
  });

  it('lose no turn to one who fails', async () => {
    const turns = new Turns(1);
    await expect(turns.take(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    await expect(turns.take(() => Promise.resolve('in turn'))).resolves.toBe('in turn');
  });
});
