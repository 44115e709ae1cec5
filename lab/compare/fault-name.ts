/** What can go wrong, in the order in which it is tried; the last two change a setting of the instance for good. */
export const faultNames = [
  'repeat',
  'two-at-once',
  'hundred-at-once',
  'other-amount',
  'answer-lost',
  'killed-before-record',
  'killed-during-call',
  'killed-after-charge',
  'bank-times-out',
  'zombie',
  'restart',
  'two-instances',
  'key-expired',
  'bank-forgot',
] as const;

export type FaultName = (typeof faultNames)[number];
