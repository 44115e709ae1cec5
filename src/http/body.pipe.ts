import {
  Inject,
  Injectable,
  ValidationPipe,
  type ArgumentMetadata,
  type PipeTransform,
} from '@nestjs/common';
import type { ValidationError } from 'class-validator';
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

  async transform(value: unknown, metadata: ArgumentMetadata): Promise<unknown> {
    if (metadata.type === 'custom') return value;
    if (metadata.type !== 'body') return validation.transform(value, metadata) as Promise<unknown>;
    return validated(this.read(value), metadata);
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

const validation = new ValidationPipe({
  whitelist: true,
  forbidNonWhitelisted: true,
  transform: true,
  stopAtFirstError: true,
  exceptionFactory: errors => Problem.invalid(errors.slice(0, errorsNamedMax).flatMap(toFieldErrors)),
});

/**
 * Checks an object against the rules of a class, and makes it one of that class.
 *
 * @throws Problem invalid_request, which names each member that breaks a rule
 */
export async function validated(value: object, metadata: ArgumentMetadata): Promise<object> {
  const sent = Object.entries(value).map(([name, member]) => [name, namesIn(member)] as const);
  const valid = (await validation.transform(value, metadata)) as Record<string, unknown>;
  refuseDropped(sent, valid);
  return valid;
}

/** Validation drops some unknown members without a word, `constructor` for one. Nothing is dropped here. */
function refuseDropped(
  sent: readonly (readonly [name: string, inside: string[]])[],
  valid: Record<string, unknown>,
): void {
  const dropped = sent.flatMap(([name, inside]) => {
    if (!Object.hasOwn(valid, name)) return [name];
    const member = valid[name] as object;
    return inside.filter(each => !Object.hasOwn(member, each)).map(each => `${name}.${each}`);
  });
  const errors = dropped.slice(0, errorsNamedMax).map(field => ({ field, message: memberUnknown }));
  if (errors.length > 0) throw Problem.invalid(errors);
}

/** No body has members deeper than those of one of its members. */
function namesIn(member: unknown): string[] {
  return typeof member === 'object' && member !== null ? Object.keys(member) : [];
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
