/** What the engine says of itself: /openapi.json, as operations to be asked and answers to be held against it. */
import { Ajv2020 } from 'ajv/dist/2020.js';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** As much of JSON Schema as the document uses for requests. */
export type Schema = {
  type?: string;
  enum?: readonly Json[];
  properties?: Readonly<Record<string, Schema>>;
  required?: readonly string[];
  items?: Schema;
  pattern?: string;
  format?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  minProperties?: number;
  'x-refused'?: string;
};

export type Parameter = { name: string; in: 'path' | 'query' | 'header'; required: boolean; schema: Schema };
export type Role = 'all' | 'buyer' | 'merchant' | 'admin';

export type Operation = {
  id: string;
  method: string;
  path: string;
  /** The lowest that may. */
  role: Role;
  parameters: readonly Parameter[];
  /** Absent: takes no body. `signed`: bytes of a provider. */
  body?: Schema | 'signed';
  /** Says what is wrong with a body by the document, or nothing. */
  bodyFault(body: Json): string | undefined;
  /** By status: the schema check of each content type, and the codes of its problems. */
  answers: ReadonlyMap<number, AnswerRule>;
};

export type AnswerRule = {
  types: ReadonlyMap<string, (body: unknown) => string | undefined>;
  codes?: readonly string[];
};

type Content = Record<string, { schema: Schema; examples?: object }>;
type Spoken = {
  operationId: string;
  tags: string[];
  security: object[];
  parameters: Parameter[];
  requestBody?: { content: Content };
  responses: Record<string, { content?: Content }>;
};
export type Document = {
  paths: Record<string, Record<string, Spoken>>;
  components: { schemas: Record<string, Schema> };
};

const ROLES: Readonly<Record<string, Role>> = { Buying: 'buyer', Merchants: 'merchant', Operators: 'admin' };
const PROBLEM = 'application/problem+json';

export function readOperations(document: Document): Operation[] {
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: 'api', components: document.components });
  const resolved = (schema: Schema & { $ref?: string }): Schema =>
    schema.$ref ? document.components.schemas[schema.$ref.split('/').at(-1) ?? ''] : schema;

  function check(schema: object): (value: unknown) => string | undefined {
    const fits = ajv.compile(
      JSON.parse(JSON.stringify(schema).replaceAll('"#/components', '"api#/components')),
    );
    return (value) => (fits(value) ? undefined : ajv.errorsText(fits.errors));
  }

  function answerRule({ content = {} }: { content?: Content }): AnswerRule {
    const types = new Map(Object.entries(content).map(([type, { schema }]) => [type, check(schema)]));
    const examples = content[PROBLEM]?.examples;
    return { types, codes: examples && Object.keys(examples) };
  }

  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, spoken]): Operation => {
      const { operationId: id, tags, parameters, requestBody, responses, security } = spoken;
      const schema = requestBody && Object.values(requestBody.content)[0].schema;
      const signed = tags[0] === 'Payment providers';
      const body = signed ? 'signed' : schema && resolved(schema);
      const bodyFault = body && body !== 'signed' ? check(schema as object) : () => undefined;
      const answers = new Map(
        Object.entries(responses).map(([status, response]) => [Number(status), answerRule(response)]),
      );
      const needs_token = security.length === 1;
      const role = needs_token ? (ROLES[tags[0]] ?? 'admin') : 'all';
      return {
        ...{ id, method: method.toUpperCase(), path, role, parameters, answers, bodyFault },
        ...(body && { body }),
      };
    }),
  );
}
