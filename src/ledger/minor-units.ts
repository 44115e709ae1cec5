/** PostgreSQL's bigint is a string on the wire. In the code it is a `bigint`: an amount is never rounded. */
export const minorUnits = {
  from: (value: string): bigint => BigInt(value),
  to: (value: bigint): string => value.toString(),
};
