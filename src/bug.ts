/**
 * An impossible state. Never an answer to bad input: whoever meets one has found a mistake in this code.
 * The id is fixed, so that a log line leads to its line of source.
 */
export class Bug extends Error {
  override readonly name = 'Bug';

  constructor(id: `PS-${number}`, whatIsImpossible: string) {
    super(`${id}: ${whatIsImpossible}`);
  }
}
