import { newKey } from '../src/key.js';

describe('a new key', () => {
  it('is a UUID of version 7 that tells when it was made, to the millisecond', () => {
    const before = Date.now();
    const key = newKey();
    expect(key).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const madeAt = Number.parseInt(key.replaceAll('-', '').slice(0, 12), 16);
    expect(madeAt).toBeGreaterThanOrEqual(before);
    expect(madeAt).toBeLessThanOrEqual(Date.now());
  });

  it('is never made twice, and every one of its 74 bits of chance is used', () => {
    const keys = Array.from({ length: 20_000 }, newKey);
    expect(new Set(keys).size).toBe(keys.length);
    const seen = { set: 0n, clear: 0n };
    for (const key of keys) {
      const bits = BigInt(`0x${key.replaceAll('-', '')}`);
      seen.set |= bits;
      seen.clear |= ~bits & ((1n << 128n) - 1n);
    }
    const both = seen.set & seen.clear & ((1n << 80n) - 1n);
    // Of the last 80 bits, all but the version's four and the variant's two.
    expect([...both.toString(2)].filter(bit => bit === '1')).toHaveLength(74);
  });
});
