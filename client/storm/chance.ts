/** From 0 to just under 1, as `Math.random`, but the same again for the same seed. */
export type Chance = () => number;

/**
 * SplitMix32: a counter whose steps are scrambled. Enough for queues, and for nothing that must be kept secret.
 *
 * @param stream what it is for: streams of one seed have nothing in common. Calls draw from another one than backoff
 *   does, so that every policy meets the very same calls, and what differs between two runs is the policy.
 */
export function chance(seed: number, stream: 'calls' | 'service' | 'backoff'): Chance {
  let state = Math.imul(seed, 0x9e3779b1);
  for (const character of stream) state = Math.imul(state ^ character.charCodeAt(0), 0x85ebca6b);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Times between events that know nothing of each other: a Poisson process, and the usual guess at service times. */
export function exponential(meanMs: number, draw: Chance): number {
  return -meanMs * Math.log(1 - draw());
}
