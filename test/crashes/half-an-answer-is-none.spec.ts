import { startAnswerCutter } from '../support/answer-cutter.js';
import type { Api } from '../support/api.js';
import { isFirstAnswer, isReplay, setUpScene } from '../support/scene.js';

/** The network dies while an answer is on its way; then the API does, too. */
describe('half an answer is none (F10, K9)', () => {
  const scene = setUpScene();
  let survivor: Api;

  beforeAll(async () => {
    survivor = await scene.boot();
  });

  it.each([
    ['one byte', () => 1],
    ['half of it', (length: number) => Math.floor(length / 2)],
    ['all but one byte', (length: number) => length - 1],
  ])('if %s arrives: the client refuses it, and the retry gets all of it', async (_, passed) => {
    const api = await scene.start();
    const cutter = await startAnswerCutter(api.port);
    const key = `cut-${passed(100)}`;

    // Answers to keys of one length are of one length.
    expect(isFirstAnswer(await scene.pay(cutter, key.replace('cut', 'all')))).toBe(true);
    cutter.bytesPassedMax = passed(cutter.bytesPassed);
    const { bytesPassedMax } = cutter;
    await expect(scene.pay(cutter, key)).rejects.toThrow(/fetch failed|terminated/);
    expect([cutter.cuts, cutter.bytesPassed]).toEqual([1, bytesPassedMax]);
    await api.kill();
    cutter.stop();

    const [stored] = await scene.sql<{ response_body: string }>(
      'SELECT response_body FROM idempotency_keys WHERE key = $1',
      [key],
    );
    const retry = await scene.pay(survivor, key);
    expect([isReplay(retry), retry.text]).toEqual([true, stored?.response_body]);
    expect(await scene.sql('SELECT status FROM payments WHERE idempotency_key = $1', [key])).toEqual([
      { status: 'succeeded' },
    ]);
  });
});
