import type { CatalogueRow, Proof } from './row.js';

const inTrouble = (title: string): Proof => ({ test: 'test/faults/a-machine-in-trouble.spec.ts', title });

/** What a machine runs out of. */
export const resourceRows: readonly CatalogueRow[] = [
  {
    id: 'F103',
    fault: 'file descriptors are used up',
    invariants: ['I11'],
    provedBy: [
      {
        test: 'test/faults/descriptors-run-out.spec.ts',
        title:
          'F103: with none left nobody is told that it failed, nothing is lost, and all is paid once there are some again',
      },
    ],
  },
  {
    id: 'F104',
    fault: 'others take the CPU',
    invariants: ['I5'],
    provedBy: [
      inTrouble('F104: while others keep every core busy, no payment is taken over and all are paid'),
    ],
  },
  {
    id: 'F105',
    fault: 'nobody reads the log',
    invariants: ['I5'],
    provedBy: [
      {
        test: 'test/faults/nobody-reads-the-log.spec.ts',
        title:
          'F105: requests do not wait for it, what cannot be kept is counted, and the process still ends',
      },
    ],
  },
  {
    id: 'F106',
    fault: 'whoever collects metrics is slow. There is no exporter that sends: they are asked for',
    invariants: ['I5'],
    provedBy: [
      inTrouble('F106: scrapers that ask and never read hold up no payment, and take up no memory'),
      {
        test: 'test/telemetry/a-scrape-outlives-the-database.spec.ts',
        title: 'asks the database once, however many ask',
      },
    ],
  },
];
