/** The API document (OpenAPI 3.1), made from the table of routes, the schemas that validate, and the catalogue. */
import { OUTCOME_CODES, type OutcomeCode, outcomeRule } from '../../domain/outcomes.ts';
import { JSON_TYPE, PROBLEM_TYPE, PROBLEMS_PATH } from '../reply.ts';
import { mayBeShed, type Route } from '../route.ts';
import { ANSWER_SCHEMAS } from '../schemas/answers.ts';
import { name } from '../schemas/fragments.ts';
import { EXAMPLES } from './examples.ts';
import { type AnswerDoc, OPERATIONS, type OperationDoc } from './operations.ts';

type Json = Record<string, unknown>;

const schemaRef = (of: string): Json => ({ $ref: `#/components/schemas/${of}` });

/** Throws if a route has no words in OPERATIONS. */
export function openApiDocument(routes: readonly Route[]): Json {
  const paths: Record<string, Json> = {};
  const schemas: Record<string, Json> = {};
  for (const route of routes) {
    const doc = OPERATIONS[route.id];
    if (!doc) throw new Error(`route ${route.id} is not described`);
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, doc) };
    if (typeof route.body === 'object') schemas[route.body.$id] = withoutId(route.body);
  }
  for (const [of, schema] of Object.entries(ANSWER_SCHEMAS)) schemas[of] = { ...schema };
  for (const [of, example] of Object.entries(EXAMPLES)) {
    if (schemas[of]) schemas[of] = { ...schemas[of], examples: [example] };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Stampede',
      version: '1',
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    tags: TAGS,
    paths,
    components: {
      schemas,
      securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      headers: HEADERS,
    },
  };
}

const DESCRIPTION = `A flash-sale checkout engine. It answers every buyer at once, sells each unit exactly once, and charges nobody twice.

Money is an integer in the minor unit of its currency; times are ISO 8601, UTC. Unknown fields are refused. Every answer carries \`Request-Id\`; every refusal is a problem document with a stable \`code\`, [explained here](${PROBLEMS_PATH}).

Claims of a token: \`sub\`, \`role\` (buyer, merchant, admin; absent: buyer), \`tenant\` (absent: default), \`exp\`, \`aud\` = stampede.`;

const TAGS = [
  { name: 'Buying', description: 'With the token of a buyer.' },
  { name: 'Sales', description: 'Open to all.' },
  { name: 'Merchants', description: 'With the token of a merchant or an admin.' },
  { name: 'Operators', description: 'With the token of an admin.' },
  { name: 'Payment providers', description: 'Signed by the provider.' },
  { name: 'Operations', description: 'Health, metrics, documentation.' },
];

const HEADERS: Json = {
  'Request-Id': {
    description: 'Names this request, in our logs too. One that you send (8-64 of A-Za-z0-9._-) is kept.',
    schema: { type: 'string' },
  },
  Location: { description: 'Path of the order or sale.', schema: { type: 'string' } },
  'Idempotent-Replayed': {
    description: 'This is the first answer to the same key, again.',
    schema: { type: 'string', enum: ['true'] },
  },
  'Retry-After': { description: 'Seconds until trying again makes sense.', schema: { type: 'integer' } },
};

const header = (of: string): Json => ({ $ref: `#/components/headers/${of}` });

function operation(route: Route, doc: OperationDoc): Json {
  const { tag, summary, description } = doc;
  return {
    operationId: route.id,
    tags: [tag],
    summary,
    ...(description ? { description } : {}),
    security: security(route),
    parameters: parameters(route, doc),
    ...(route.body && !isEmptyBody(route.body) ? { requestBody: requestBody(route.body) } : {}),
    responses: responses(route, doc),
  };
}

function security(route: Route): Json[] {
  if (route.access !== 'all') return [{ token: [] }];
  // A token is not needed, but says whose sales are meant.
  return route.limited === 'not' || route.body === 'raw' ? [] : [{}, { token: [] }];
}

function parameters(route: Route, doc: OperationDoc): Json[] {
  const found: Json[] = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => ({
    name: parameter,
    in: 'path',
    required: true,
    schema: { ...name },
  }));
  for (const [parameter, description] of Object.entries(doc.query ?? {})) {
    found.push({ name: parameter, in: 'query', required: true, description, schema: { ...name } });
  }
  for (const [parameter, filter] of Object.entries(doc.filters?.properties ?? {})) {
    const { description, ...schema } = filter;
    found.push({ name: parameter, in: 'query', required: false, description, schema });
  }
  if (route.keyed) {
    found.push({
      name: 'Idempotency-Key',
      in: 'header',
      required: true,
      description: 'Of your own making, the same with every retry. A quoted string is the same key.',
      schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{16,255}$' },
      example: 'order-7f3a9c21-attempt-1',
    });
  }
  return found;
}

function isEmptyBody(body: NonNullable<Route['body']>): boolean {
  return typeof body === 'object' && !('properties' in body);
}

function requestBody(body: NonNullable<Route['body']>): Json {
  const schema = typeof body === 'object' ? schemaRef(body.$id) : { description: "The provider's own." };
  return { required: true, content: { [JSON_TYPE]: { schema } } };
}

function withoutId(schema: object): Json {
  const { $id: _, ...rest } = schema as Json;
  return rest;
}

function responses(route: Route, doc: OperationDoc): Json {
  const found: Record<string, Json> = {};
  for (const [status, answer] of Object.entries(doc.answers)) found[status] = answerResponse(answer);
  const byStatus = new Map<number, OutcomeCode[]>();
  for (const code of refusalsOf(route, doc)) {
    const { status } = outcomeRule(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  for (const [status, codes] of byStatus) found[status] = problemResponse(codes);
  return found;
}

/** In the order of the catalogue. */
export function refusalsOf(route: Route, doc: OperationDoc): OutcomeCode[] {
  // Also where no token is needed: one that is sent must count.
  const found = new Set<OutcomeCode>(['internal_error', 'unauthorized', ...(doc.refusals ?? [])]);
  const needed = (...codes: OutcomeCode[]) => codes.forEach((code) => void found.add(code));
  if (route.access === 'merchant' || route.access === 'admin') needed('forbidden');
  if (typeof route.body === 'object')
    needed('invalid_request', 'payload_too_large', 'unsupported_media_type');
  if (route.keyed) needed('idempotency_key_missing', 'idempotency_key_invalid');
  if (route.limited !== 'not') needed('rate_limited');
  if (mayBeShed(route)) needed('overloaded');
  return OUTCOME_CODES.filter((code) => found.has(code));
}

function answerResponse({ description, schema, content_type, headers = [] }: AnswerDoc): Json {
  const media = content_type ?? (schema && JSON_TYPE);
  const of_type = schema ? schemaRef(schema) : media === JSON_TYPE ? {} : { type: 'string' };
  const named = ['Request-Id', ...headers].map((of) => [of, header(of)]);
  return {
    description,
    headers: Object.fromEntries(named),
    ...(media ? { content: { [media]: { schema: of_type } } } : {}),
  };
}

function problemResponse(codes: readonly OutcomeCode[]): Json {
  const rules = codes.map((code) => ({ code, ...outcomeRule(code) }));
  const retry = rules.some((rule) => rule.retry_after_seconds !== undefined);
  const examples = rules.map(({ code, title, status, detail }) => [
    code,
    {
      value: { type: `${PROBLEMS_PATH}#${code}`, title, status, code, detail, request_id: '5f0c3ab1d2e4-7k' },
    },
  ]);
  return {
    description: rules.map(({ code, title }) => `\`${code}\`: ${title}.`).join('\n\n'),
    headers: Object.fromEntries(
      ['Request-Id', ...(retry ? ['Retry-After'] : [])].map((of) => [of, header(of)]),
    ),
    content: { [PROBLEM_TYPE]: { schema: schemaRef('Problem'), examples: Object.fromEntries(examples) } },
  };
}
