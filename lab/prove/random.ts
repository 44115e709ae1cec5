/**
 * Numbers that look random and are the same for the same seed, on every machine: one seed draws the whole of a run.
 * The generator is mulberry32, public domain by Tommy Ettinger; fine for schedules, and for nothing secret.
 */
export class Random {
  private state: number;

  constructor(seed: number | string) {
    this.state = typeof seed === 'number' ? seed >>> 0 : hash(seed);
  }

  /** Another generator, that draws the same whatever is drawn from this one. */
  static of(seed: number, ...names: (string | number)[]): Random {
    return new Random([seed, ...names].join('/'));
  }

  /** At least 0, below 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  one<Choice>(choices: readonly [Choice, ...Choice[]]): Choice {
    return this.oneOf(choices);
  }

  /** @throws RangeError where there is nothing to choose */
  oneOf<Choice>(choices: readonly Choice[]): Choice {
    if (choices.length === 0) throw new RangeError('there is nothing to choose');
    return choices[this.between(0, choices.length - 1)] as Choice;
  }
}

/** FNV-1a: spreads names that differ in one letter. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0;
}
