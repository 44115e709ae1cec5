/**
 * Who sends, and where to: what an entry of the journal belongs to. The API key itself is never written down, only the
 * beginning of its hash, from which nobody gets it back: 128 bits of a key that is random to begin with.
 *
 * @throws TypeError in a page that was not loaded over https (or from localhost): browsers keep Web Crypto from it
 */
export async function senderOf(baseUrl: string, apiKey: string): Promise<string> {
  // Types say that it is always there. A browser decides by the page's address.
  const { subtle } = crypto as Partial<typeof crypto>;
  if (!subtle) throw new TypeError('A journal needs Web Crypto, which browsers offer to https pages only.');
  const digest = new Uint8Array(await subtle.digest('SHA-256', new TextEncoder().encode(apiKey)));
  const hex = Array.from(digest.slice(0, 16), byte => byte.toString(16).padStart(2, '0')).join('');
  return `${baseUrl}#${hex}`;
}
