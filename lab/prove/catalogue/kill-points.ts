import type { CatalogueRow, Proof } from './row.js';

const all: readonly Proof[] = [
  { act: 'kill points' },
  {
    test: 'test/crashes/every-kill-point.spec.ts',
    title: 'wherever a payment dies, it is paid once',
  },
];
const relay: readonly Proof[] = [{ notBuilt: 'There is no relay and no outbox yet; it is due with them.' }];

/**
 * Where a payment can die. T1 claims the key and reserves the money, T2 records that the bank has the transfer, T3
 * records the end. Each place is taken with both holders, a request and the completer, and left by each way back.
 */
export const killPointRows: readonly CatalogueRow[] = [
  { id: 'K0', fault: 'killed before T1 begins', invariants: ['I2', 'I10'], provedBy: all },
  { id: 'K1', fault: 'killed in T1, before COMMIT', invariants: ['I1', 'I10'], provedBy: all },
  {
    id: 'K2',
    fault: 'killed after the COMMIT of T1 or T2, before the call to the bank',
    invariants: ['I1', 'I5'],
    provedBy: all,
  },
  {
    id: 'K3',
    fault: 'killed while the bank has the request, unread',
    invariants: ['I1', 'I5'],
    provedBy: all,
  },
  {
    id: 'K4',
    fault: 'killed while the bank has carried it out, and not answered',
    invariants: ['I1', 'I2', 'I6'],
    provedBy: all,
  },
  { id: 'K5', fault: 'killed with the bank’s answer in memory', invariants: ['I1', 'I2'], provedBy: all },
  { id: 'K6', fault: 'killed in T2 or T3, before COMMIT', invariants: ['I1', 'I4'], provedBy: all },
  { id: 'K7', fault: 'killed with COMMIT sent and no reply seen', invariants: ['I2', 'I3'], provedBy: all },
  { id: 'K8', fault: 'killed after the last COMMIT, before the answer', invariants: ['I3'], provedBy: all },
  { id: 'K9', fault: 'killed with the answer partly written', invariants: ['I3'], provedBy: all },
  { id: 'K10', fault: 'the relay is killed before it sends an event', invariants: [], provedBy: relay },
  {
    id: 'K11',
    fault: 'the relay is killed before it marks an event as sent',
    invariants: [],
    provedBy: relay,
  },
];
