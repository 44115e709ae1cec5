import type { CatalogueRow, Proof } from './row.js';

const due: readonly Proof[] = [{ notBuilt: 'There is no relay and no outbox yet; it is due with them.' }];

/** All of them are about I8: each committed event is delivered at least once, and takes effect once. */
export const relayRows: readonly CatalogueRow[] = [
  { id: 'F96', fault: 'the relay dies after sending, before marking', invariants: [], provedBy: due },
  { id: 'F97', fault: 'the relay dies before sending', invariants: [], provedBy: due },
  { id: 'F98', fault: 'two relays', invariants: [], provedBy: due },
  {
    id: 'F99',
    fault: 'a slow transaction commits after a faster one with a later id',
    invariants: [],
    provedBy: due,
  },
  {
    id: 'F100',
    fault: 'the consumer is down, slow, or answers 500 or 410',
    invariants: ['I11'],
    provedBy: due,
  },
  { id: 'F101', fault: 'a poison event', invariants: [], provedBy: due },
  {
    id: 'F102',
    fault: 'a payment is rolled back after its event was written',
    invariants: [],
    provedBy: due,
  },
];
