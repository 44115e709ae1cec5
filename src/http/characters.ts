import { ValidateBy } from 'class-validator';

const surrogatePairs = /[\ud800-\udbff][\udc00-\udfff]/g;

/**
 * A string of `min` to `max` characters, counted as PostgreSQL counts them: code points. The usual rule leaves
 * variation selectors out, and so lets strings pass that the database refuses.
 */
export function Characters(min: number, max: number): PropertyDecorator {
  return ValidateBy({
    name: 'characters',
    constraints: [min, max],
    validator: {
      validate: (value: unknown) => typeof value === 'string' && isBetween(codePoints(value), min, max),
      defaultMessage: () => `must have ${min} to ${max} characters`,
    },
  });
}

/** In a string without half a pair; no other gets here. */
function codePoints(text: string): number {
  return text.length - (text.match(surrogatePairs)?.length ?? 0);
}

function isBetween(number: number, min: number, max: number): boolean {
  return number >= min && number <= max;
}
