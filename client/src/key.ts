/**
 * A new idempotency key: a UUIDv7 (RFC 9562), 48 bits of time and 74 of chance. Keys made later sort later, which keeps
 * the server's index of them small and journals readable.
 *
 * The chance is never taken from a `Clock`: simulations repeat theirs, and a repeated key is somebody else's payment.
 */
export function newKey(): string {
  const time = Date.now().toString(16).padStart(12, '0');
  // Version and variant aside, a UUIDv4 is chance: behind its version, 74 bits of it, and the variant in its place.
  const chance = crypto.randomUUID().slice(15);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${chance}`;
}

/**
 * The caller's own key, if it is one: 1 to 255 visible ASCII characters, no comma. It is never trimmed, shortened or
 * otherwise repaired, because a key that is repaired in one release and not in the next is two keys.
 *
 * @throws TypeError, without repeating the key
 */
export function checkedKey(key: unknown): string {
  if (typeof key !== 'string' || !/^[!-+\--~]{1,255}$/.test(key)) {
    throw new TypeError(
      'An idempotency key is 1 to 255 visible ASCII characters, without a blank or a comma. Leave it out to have one made.',
    );
  }
  // In a path they lead elsewhere, however they are escaped: nobody could ask what became of such a key.
  if (key === '.' || key === '..') throw new TypeError('An idempotency key cannot be made of dots alone.');
  return key;
}

/** As a header: an RFC 9651 String, so that a key that begins with a quotation mark stays what it is. */
export function keyHeader(key: string): string {
  return `"${key.replace(/["\\]/g, '\\$&')}"`;
}
