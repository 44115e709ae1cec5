import { channel } from 'node:diagnostics_channel';

/**
 * What became of one request to the bank, or how the circuit changed. Metrics and logs listen; the client knows
 * neither. Never the API key, and never a reference: who was paid is nobody's business but the books'.
 */
export type BankEvent =
  | {
      /** `pay` sends a transfer, `ask` looks one up, `statement` reads a page of bookings. */
      readonly call: 'pay' | 'ask' | 'statement';
      readonly kind: 'ok' | 'declined' | 'not_found' | 'not_sent' | 'unknown' | 'contradicted';
      /** From asking for a turn to the end; a request that was turned away has one too. */
      readonly ms: number;
      readonly reason?: string;
    }
  | { readonly circuit: 'open' | 'half_open' | 'closed' };

export const bankEvents = channel('paysam.bank');

export function publish(event: BankEvent): void {
  if (bankEvents.hasSubscribers) bankEvents.publish(event);
}
