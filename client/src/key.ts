/**
 * A new idempotency key: a UUIDv7 (RFC 9562), 48 bits of time and 74 of chance. Keys made later sort later, which keeps
 * the server's index of them small and journals readable.
 *
 * The chance is never taken from a `Clock`: simulations repeat theirs, and a repeated key is somebody else's payment.
 */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  let time = Date.now();
  for (let index = 5; index >= 0; index -= 1) {
    bytes[index] = time % 256;
    time = Math.floor(time / 256);
  }
  // Version 7, variant 2.
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  let key = '';
  bytes.forEach((byte, index) => {
    const isGroup = index === 4 || index === 6 || index === 8 || index === 10;
    key += `${isGroup ? '-' : ''}${hex[byte] ?? ''}`;
  });
  return key;
}

/** All bytes, written once: a key is made for every payment. */
const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

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
