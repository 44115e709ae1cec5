import {
  Inject,
  Injectable,
  ValidationPipe,
  type ArgumentMetadata,
  type PipeTransform,
} from '@nestjs/common';
import { validateSync, type ValidationError } from 'class-validator';
import { Settings } from '../settings.js';
import { Problem, type FieldError } from './problem.js';
import { JsonRefused, readJson } from './strict-json.js';

/** A refusal names the first mistakes; whoever sent 5,000 unknown members need not be told all of them. */
const errorsNamedMax = 20;
const memberUnknown = 'this member is unknown';

/**
 * Turns the bytes of a body into a validated object. It runs after authentication and after the key was read,
 * so that this is the order in which a caller learns of mistakes.
 */
@Injectable()
export class BodyPipe implements PipeTransform {
  constructor(@Inject(Settings) private readonly settings: Settings) {}

  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    if (metadata.type === 'custom') return value;
    if (metadata.type !== 'body') return validation.transform(value, metadata);
    return validated(this.read(value), metadata.metatype as new () => object);
  }

  private read(value: unknown): object {
    try {
      const json = readJson(
        value instanceof Uint8Array ? value : Buffer.alloc(0),
        this.settings.jsonDepthMax,
      );
      if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json;
    } catch (error) {
      if (!(error instanceof JsonRefused)) throw error;
      const code = error.kind === 'malformed' ? 'malformed_json' : 'invalid_request';
      throw new Problem(code, `The body was refused: ${error.message}.`);
    }
    throw new Problem('invalid_request', 'The body must be a JSON object.');
  }
}

const rules = { whitelist: true, forbidNonWhitelisted: true, stopAtFirstError: true };

const validation = new ValidationPipe({ ...rules, transform: true, exceptionFactory: toProblem });

/**
 * Checks an object against the rules of a class, and makes it one of that class. At once, where Nest's pipe would wait
 * for rules that ask elsewhere: there are none, and each request would pay for it.
 *
 * @throws Problem invalid_request, which names each member that breaks a rule
 */
export function validated<Body extends object>(sent: object, body: new () => Body): Body {
  refuseInherited(sent);
  const valid = Object.assign(new body(), sent);
  const errors = validateSync(valid, rules);
  if (errors.length > 0) throw toProblem(errors);
  return valid;
}

/**
 * class-validator asks an object for its constructor, and finds rules for whatever every object has: a member called
 * like that would pass unseen, or switch the rules off.
 */
function refuseInherited(sent: object): void {
  const names = Object.keys(sent).filter(name => name in Object.prototype);
  if (names.length > 0) throw Problem.invalid(names.map(field => ({ field, message: memberUnknown })));
}

function toProblem(errors: readonly ValidationError[]): Problem {
  return Problem.invalid(errors.slice(0, errorsNamedMax).flatMap(toFieldErrors));
}

function toFieldErrors(error: ValidationError): FieldError[] {
  const messages = Object.entries(error.constraints ?? {});
  return messages.map(([rule, message]) => ({
    field: error.property.slice(0, 100),
    message: rule === 'whitelistValidation' ? memberUnknown : withoutName(message, error.property),
  }));
}

function withoutName(message: string, name: string): string {
  return message.startsWith(`${name} `) ? message.slice(name.length + 1) : message;
}
