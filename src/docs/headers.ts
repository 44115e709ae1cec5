import { limits } from '../settings.js';
import type { Header, Parameter } from './openapi-types.js';

const text = { type: 'string' };
const seconds = { type: 'integer', minimum: 1 };

/** What answers carry besides their bodies. */
export const headers: Record<string, Header> = {
  'Request-Id': {
    description: 'Names this very request in the log. Not a key: each send has another one.',
    schema: { ...text, format: 'uuid' },
    example: '9195c8b6-af45-46ce-9fda-25935bd65f32',
  },
  'Idempotency-Key': { description: 'The canonical key, bare.', schema: text, example: '456' },
  'Idempotency-Status': {
    description:
      '`completed`: this request did it. `already_completed`: an earlier one did, and this is its answer. ' +
      'The others say why there is no answer yet, or none for this request.',
    schema: {
      ...text,
      enum: ['completed', 'already_completed', 'in_progress', 'collision_detected', 'operation_cancelled'],
    },
    example: 'completed',
  },
  'Idempotent-Replayed': {
    description: 'Only on a replay: the same status and the same bytes as the first answer.',
    schema: { ...text, enum: ['true'] },
    example: 'true',
  },
  'Idempotency-Expires': {
    description: 'When the stored answer may go. The payment remembers its key for ever.',
    schema: { ...text, format: 'date-time' },
    example: '2026-11-25T02:04:19.799Z',
  },
  'Idempotency-Original-Date': {
    description: 'Only on a replay: when the first answer was given.',
    schema: { ...text, format: 'date-time' },
    example: '2026-11-22T02:04:19.799Z',
  },
  'Should-Retry': {
    description:
      'Whether sending the same request with the same key again may help. It wins over the status.',
    schema: { ...text, enum: ['true', 'false'] },
    example: 'false',
  },
  'Retry-After': { description: 'Seconds to wait before the next try.', schema: seconds, example: 1 },
  Location: {
    description: 'Where to ask what became of it.',
    schema: { ...text, format: 'uri-reference' },
    example: '/operations/456',
  },
  'Preference-Applied': {
    description: 'The preference that was honoured, RFC 7240.',
    schema: text,
    example: 'wait=20',
  },
  'RateLimit-Limit': {
    description: 'Requests a customer may send in a second.',
    schema: seconds,
    example: 1_000,
  },
  'RateLimit-Remaining': {
    description: 'How many of them are left.',
    schema: { type: 'integer', minimum: 0 },
    example: 999,
  },
  'RateLimit-Reset': {
    description: 'Seconds until there are all of them again.',
    schema: { type: 'integer', minimum: 0 },
    example: 1,
  },
  'WWW-Authenticate': { description: 'RFC 6750.', schema: { ...text, enum: ['Bearer'] }, example: 'Bearer' },
};

/** What requests may carry in their headers. */
export const parameters: Record<string, Parameter> = {
  'Idempotency-Key': {
    name: 'Idempotency-Key',
    in: 'header',
    // A customer set to `keyless` may leave it out; nobody else.
    required: true,
    description:
      `**One key per intended payment, the same on every retry.** 1 to ${limits.keyLengthMax} visible ASCII ` +
      'characters, no comma, no blank; bare (`456`) or as an RFC 9651 String (`"456"`), which is the same key. ' +
      'Sent exactly once. Customers set to `keyless: fingerprint`, `sk_demo_legacy` in the demo, may leave it out.',
    schema: { type: 'string', minLength: 1, maxLength: limits.keyLengthMax + 2 },
    example: '456',
  },
  Prefer: {
    name: 'Prefer',
    in: 'header',
    description:
      `RFC 7240. \`wait=N\`: wait up to N seconds, at most ${limits.waitSecondsMax}, for the result. ` +
      '`respond-async`: 202 as soon as the money is reserved.',
    schema: { type: 'string' },
  },
};
