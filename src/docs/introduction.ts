import { limits, type Settings } from '../settings.js';
import { testPayees } from './examples.js';

/** What each group of calls is about. The names are those of the controllers. */
export const tags = {
  Payments: 'Move money, once for each key.',
  Accounts: 'Where the money is.',
  Operations: 'What became of a key.',
  Problems: 'Every way this API can say no.',
  Health: 'For whoever runs it.',
  Metrics: 'For whoever watches it.',
  Docs: 'What you are reading.',
};

/** What the document says before it lists anything. */
export function introduction(settings: Settings): string {
  const limitsInForce = {
    'Request body': `${figure(settings.bodyBytesMax)} bytes, \`application/json\` only, not compressed`,
    Headers: `${figure(settings.headerBytesMax)} bytes, ${settings.headerFieldsMax} fields`,
    'Time for a request to arrive': `${figure(settings.requestTimeoutMs)} ms`,
    'JSON nesting': settings.jsonDepthMax,
    'Idempotency key': `${limits.keyLengthMax} visible ASCII characters, no comma`,
    Reference: `${limits.referenceLengthMax} characters`,
    Amount: `1 to ${figure(limits.amountMax)} minor units`,
    'Entries in a page': limits.pageSizeMax,
    'Prefer: wait': `${limits.waitSecondsMax} s`,
    'Stored answers': `kept ${figure(settings.answerRetentionMs / 3_600_000)} hours, keys for ever`,
    'Requests of a customer': `${figure(settings.requestsPerSecondMax)} a second, ${figure(settings.inFlightPerCustomerMax)} at once, to one process`,
    'Bank payments of a customer on their way': figure(settings.unfinishedPerCustomerMax),
  };

  return `Moves money **exactly once**. Networks lose requests and answers, so callers retry, and a retry never pays twice.

**One \`Idempotency-Key\` per intended payment, the same on every retry.** A new key is a new payment.

| The first request is | and the repeat is | The repeat gets |
|---|---|---|
| finished | the same | the same status and bytes, \`Idempotent-Replayed: true\` |
| finished or running | different | ${settings.collisionStatus} \`collision_detected\`, which names the members that differ |
| running | the same | 409 \`in_progress\`, \`Retry-After\`; with \`Prefer: wait=N\` the answer, if it comes in time |
| abandoned | the same | the answer: the repeat takes over and finishes it |

Only 200 and 402 are final, and stored. Every other refusal leaves the key as it was: correct the request, or retry it,
with the same key. \`Should-Retry\` says which. A path with a method it does not take answers 405 \`method_not_allowed\`.

Amounts are in the currency’s minor unit, times are UTC. Every answer carries \`Request-Id\`; errors are
\`application/problem+json\`, and \`type\` links to a page about each.

**To try it**: the quick start knows the API keys \`sk_demo_alice\` (£10,000), \`sk_demo_bob\` (£50), \`sk_demo_sam\`,
\`sk_demo_legacy\` (cannot send keys) and \`sk_demo_readonly\` (may not pay). On \`rail: "bank"\` the payee chooses what
the other bank does:

| To | Their bank |
|---|---|
${rows(testPayees)}

**Limits**

| What | At most |
|---|---|
${rows(limitsInForce)}
`;
}

function rows(table: Record<string, string | number>): string {
  return Object.entries(table)
    .map(([name, value]) => `| ${name} | ${value} |`)
    .join('\n');
}

function figure(number: number): string {
  return number.toLocaleString('en');
}
