import { ValidateBy } from 'class-validator';

/**
 * A string of `min` to `max` characters, counted as PostgreSQL counts them: code points. The usual rule leaves
 * variation selectors out, and so lets strings pass that the database refuses.
 */
export function Characters(min: number, max: number): PropertyDecorator {
  return ValidateBy({
    name: 'characters',
    constraints: [min, max],
    validator: {
      validate: (value: unknown) =>
        typeof value === 'string' && isBetween(Array.from(value).length, min, max),
      defaultMessage: () => `must have ${min} to ${max} characters`,
    },
  });
}

function isBetween(number: number, min: number, max: number): boolean {
  return number >= min && number <= max;
}
