import { limits } from '../settings.js';
import type { Patience } from './run-operation.js';

/**
 * Reads `Prefer`, RFC 7240, as far as it says how long the caller would wait: `wait=N` seconds, at most 30, or
 * `respond-async`, which is no time at all. Of two, the first counts. A preference is not a demand: what is not
 * understood is ignored, and the answer then says nothing of having applied it.
 *
 * @returns `null` when there is nothing to apply
 */
export function readPreference(
  header: string | string[] | undefined,
): { patience: Patience; applied: string } | null {
  for (const preference of [header ?? []].flat().join(',').split(',')) {
    const [token = ''] = preference.split(';');
    const asked = /^\s*(?:(respond-async)|wait\s*=\s*"?(\d{1,9})"?)\s*$/i.exec(token);
    if (!asked) continue;
    if (asked[1]) return { patience: { firstMs: 0, repeatMs: 0 }, applied: 'respond-async' };
    const seconds = Math.min(Number(asked[2]), limits.waitSecondsMax);
    return { patience: { firstMs: seconds * 1_000, repeatMs: seconds * 1_000 }, applied: `wait=${seconds}` };
  }
  return null;
}
