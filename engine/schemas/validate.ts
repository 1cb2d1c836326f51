/**
 * Validation: schemas compiled once, nothing coerced, and words that tell a person what to change. Values
 * are never repeated: they may be what must not be logged.
 */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { EMAIL_PATTERN, PHONE_PATTERN } from '../../domain/contact.ts';
import { NAME_PATTERN } from '../../domain/ids.ts';
import { isCurrency } from '../../domain/money.ts';
import { holdsCardNumber } from './card-number.ts';
import { ORDER_ID_PATTERN } from './fragments.ts';
import { CURSOR_PATTERN, ORDERS_PAGE_MAX, PAGE_PATTERN } from './order-patterns.ts';

/** `path` is a JSON pointer into the body. */
export type Fault = { path: string; message: string };

/** A schema, and the type of what passes it. */
export type BodySchema<T> = { readonly $id: string; readonly passes?: T };

/** The value itself, known to fit, or what is wrong with it. */
export type Validated<T> = { value: T } | { faults: Fault[] };
export type Validate<T> = (value: unknown) => Validated<T>;

const FAULTS_MAX = 20;
/** Control characters, line ends of Unicode, and halves of surrogate pairs, which Postgres would refuse. */
const NOT_PLAIN = /[\p{Cc}\p{Cs}\u2028\u2029]/u;
const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/;

const ajv = new Ajv({ strict: true, allErrors: true, useDefaults: true, coerceTypes: false, verbose: true });
ajv.addFormat('date-time', (value: string) => DATE_TIME.test(value) && !Number.isNaN(Date.parse(value)));
ajv.addKeyword({
  keyword: 'x-plain-text',
  type: 'string',
  schemaType: 'boolean',
  validate: (_wanted: boolean, value: string) => !NOT_PLAIN.test(value) && value.trim() !== '',
});
ajv.addKeyword({
  keyword: 'x-no-card-number',
  type: 'string',
  schemaType: 'boolean',
  validate: (_wanted: boolean, value: string) => !holdsCardNumber(value),
});
ajv.addKeyword({
  keyword: 'x-currency',
  type: 'string',
  schemaType: 'boolean',
  validate: (_wanted: boolean, value: string) => isCurrency(value),
});
ajv.addKeyword({ keyword: 'x-refused', schemaType: 'string', validate: () => false });

export function compile<T>(schema: BodySchema<T>): Validate<T> {
  const check = ajv.compile(schema) as ValidateFunction;
  return (value) => {
    if (check(value)) return { value: value as T };
    return { faults: faultsOf(check.errors ?? []) };
  };
}

/** One fault a place, the first: what follows from it would only confuse. */
function faultsOf(errors: readonly ErrorObject[]): Fault[] {
  const faults = new Map<string, Fault>();
  for (const error of errors) {
    const path = pathOf(error);
    if (!faults.has(path) || error.keyword === 'x-refused')
      faults.set(path, { path, message: messageOf(error) });
    if (faults.size === FAULTS_MAX) break;
  }
  return [...faults.values()];
}

function pathOf(error: ErrorObject): string {
  if (error.keyword === 'required') return `${error.instancePath}/${error.params.missingProperty}`;
  if (error.keyword !== 'additionalProperties') return error.instancePath;
  const name = String(error.params.additionalProperty);
  const field = holdsCardNumber(name) ? '(card number)' : name.slice(0, 64);
  return `${error.instancePath}/${field.replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

const PATTERNS: Readonly<Record<string, string>> = {
  [NAME_PATTERN]: 'must be 1-64 of A-Za-z0-9._-',
  [ORDER_ID_PATTERN]: 'must be an order id',
  '^[!-~]+$': 'must be printable ASCII without spaces',
  '^[A-Z]{3}$': 'must be an ISO 4217 currency code',
  [PAGE_PATTERN]: `must be a number from 1 to ${ORDERS_PAGE_MAX}`,
  [CURSOR_PATTERN]: 'must be the next_cursor of a page',
  [EMAIL_PATTERN]: 'must be an e-mail address',
  [PHONE_PATTERN]: 'must be a phone number in E.164, such as +6281234567890',
};

function messageOf({ keyword, params, schema }: ErrorObject): string {
  switch (keyword) {
    case 'required':
      return 'is required';
    case 'additionalProperties':
      return 'is not a known field';
    case 'type':
      return `must be ${schema === 'object' || schema === 'array' || schema === 'integer' ? 'an' : 'a'} ${schema}`;
    case 'enum':
      return `must be one of ${(schema as unknown[]).join(', ')}`;
    case 'minimum':
      return `must be at least ${schema}`;
    case 'maximum':
      return `must be at most ${schema}`;
    case 'minLength':
      return schema === 1 ? 'must not be empty' : `must have at least ${schema} characters`;
    case 'maxLength':
      return `must have at most ${schema} characters`;
    case 'minItems':
      return schema === 1 ? 'must not be empty' : `must have at least ${schema} elements`;
    case 'maxItems':
      return `must have at most ${schema} elements`;
    case 'pattern':
      return PATTERNS[String(params.pattern)] ?? 'does not have the right form';
    case 'minProperties':
      return 'must not be empty';
    case 'format':
      return 'must be a time with its zone, such as 2027-01-31T12:00:00.000Z';
    case 'x-plain-text':
      return 'must be text on one line, without control characters';
    case 'x-no-card-number':
      return 'must not hold a card number: send a token of your payment provider';
    case 'x-currency':
      return 'must be an ISO 4217 currency code';
    case 'x-refused':
      return String(schema);
    default:
      return 'is not valid';
  }
}
