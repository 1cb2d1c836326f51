/** Bodies of answers about merchants' webhook endpoints, for the API document. */

const string = { type: 'string' } as const;
const integer = { type: 'integer' } as const;
const time = { type: 'string', format: 'date-time' } as const;
const timeOrNull = { type: ['string', 'null'], format: 'date-time' } as const;
const stringOrNull = { type: ['string', 'null'] } as const;
const integerOrNull = { type: ['integer', 'null'] } as const;

const object = (properties: Readonly<Record<string, object>>) => ({
  type: 'object',
  additionalProperties: false,
  required: Object.keys(properties),
  properties,
});

const endpoint = {
  id: string,
  url: string,
  description: stringOrNull,
  types: { type: 'array', items: string },
  enabled: { type: 'boolean' },
  disabled: {
    description: '`merchant`: switched off; `gone`: it answered 410; `failing`: it failed for five days.',
    anyOf: [
      { type: 'null' },
      object({ reason: { type: 'string', enum: ['merchant', 'gone', 'failing'] }, since: time }),
    ],
  },
  failing_since: timeOrNull,
  previous_secret_until: {
    ...timeOrNull,
    description: 'Until then the secret before the last rotation signs, too.',
  },
  created_at: time,
  updated_at: time,
} as const;

const delivery = object({
  webhook_id: string,
  type: string,
  order_id: stringOrNull,
  state: { type: 'string', enum: ['waiting', 'delivered', 'given_up'] },
  tries: integer,
  last_status: integerOrNull,
  last_error: stringOrNull,
  wanted_at: time,
  tried_at: timeOrNull,
  finished_at: timeOrNull,
  next_try_at: timeOrNull,
});

export const WEBHOOK_ANSWER_SCHEMAS = {
  WebhookEndpoint: object(endpoint),
  WebhookEndpoints: object({
    endpoints: { type: 'array', items: { $ref: '#/components/schemas/WebhookEndpoint' } },
  }),
  WebhookEndpointSecret: {
    ...object({ ...endpoint, secret: string }),
    description: 'The secret is told here and never again.',
  },
  WebhookEndpointDetails: object({ ...endpoint, deliveries: { type: 'array', items: delivery } }),
  WebhookTest: object({ webhook_id: string }),
  WebhookReplay: object({ replay_id: integer, since: time, until: timeOrNull }),
};
