/** I8, the outbox, has no checker: there is no relay yet. */
export const invariants = [
  'I1',
  'I2',
  'I3',
  'I4',
  'I5',
  'I6',
  'I7',
  'I9',
  'I10',
  'I11',
  'I12',
  'I13',
  'I14',
  'I15',
] as const;

export type Invariant = (typeof invariants)[number];

/** One promise that was broken, once. */
export interface Violation {
  readonly invariant: Invariant;
  /** The operation, key, payment or process that it happened to. */
  readonly about: string;
  /** The sentence that turned out not to be true: the same words each time, so that they can be counted. */
  readonly what: string;
  /** The rows and lines that show it. */
  readonly evidence: object;
}

/** Collects what one checker finds. */
export class Findings {
  readonly violations: Violation[] = [];

  constructor(private readonly invariant: Invariant) {}

  add(what: string, about: string, evidence: object): void {
    this.violations.push({ invariant: this.invariant, about, what, evidence });
  }
}
