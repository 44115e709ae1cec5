import { checkedKey } from '../src/key.js';
import { UsageError } from './usage-error.js';

/** @throws UsageError for what the service would take for no key */
export function typedKey(text: string): string {
  try {
    return checkedKey(text);
  } catch {
    throw new UsageError(
      `“${text}” is not a key.`,
      'A key is 1 to 255 visible ASCII characters, without a blank or a comma.',
    );
  }
}
