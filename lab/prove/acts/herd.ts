import type { Act } from '../act.js';
import { answersLost, impatience, lateAttempts, requestsLost } from './callers-in-doubt.js';
import { killedDriver } from './killed-driver.js';
import { outage } from './outage.js';
import { together, type Part } from './part.js';
import { Scene } from './scene.js';

/** A bank that takes its time is waited for, and its payments are nobody else's meanwhile. */
const patient = { BANK_REQUEST_TIMEOUT_MS: '2000', BANK_TIMEOUT_MS: '2000', LEASE_MS: '3000' };

/**
 * What callers do to a service, and to themselves: they lose requests and answers, give up too soon, are overtaken
 * by their own retries, die, and come back all at once. All of them are the published client, with its defaults but for
 * the time that an impatient one allows, and the first wait of those who lose something.
 */
export const herd: Act = {
  name: 'herd',
  about: 'callers who lose requests and answers, give up, die, and come back all at once',
  waits: true,
  perform: stage =>
    Scene.play(stage, patient, async scene => {
      const parts: Part[] = [];
      for (const part of [answersLost, requestsLost, impatience, lateAttempts, killedDriver]) {
        parts.push(await part(scene, stage));
        stage.say(part.name);
      }
      for (const kind of ['hangs', 'refused'] as const) parts.push(await outage(scene, kind, stage));
      return scene.judge({ name: herd.name, ...together(parts), shareSucceededMin: 0.5 });
    }),
};
