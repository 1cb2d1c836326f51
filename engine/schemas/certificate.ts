/** What is asked for, and what is answered, where a sale is certified. */
import type { FromSchema } from 'json-schema-to-ts';
import { integer, list, object, string, stringOrNull, time, timeOrNull } from './answer-parts.ts';

export const certificateQuery = {
  $id: 'CertificateQuery',
  type: 'object',
  additionalProperties: false,
  properties: {
    interim: {
      type: 'string',
      enum: ['true', 'false'],
      description: 'Also while something may still come that changes it; it says so itself',
    },
  },
} as const;
export type CertificateQuery = FromSchema<typeof certificateQuery>;

const boolean = { type: 'boolean' } as const;

/** What is missing until a certificate is final. */
export const MISSING = [
  'not_loaded',
  'not_closed',
  'fenced',
  'not_balanced',
  'movements_under_way',
  'orders_held',
  'payments_unfinished',
  'history_not_chained',
] as const;

export const CERTIFICATE = object({
  certificate: object({
    kind: string,
    format: integer,
    interim: boolean,
    missing: list({ type: 'string', enum: MISSING }),
    made_at: time,
    tenant: string,
    sale: string,
    currency: string,
    limit_per_buyer: integer,
    opens_at: timeOrNull,
    closes_at: timeOrNull,
    gate: string,
    stream: object({
      seq: integer,
      epoch: integer,
      generation: integer,
      digest: stringOrNull,
      chain: string,
    }),
    movements: object({ applied_n: integer, acked_n: integer, sealed_n: integer, unsealed: integer }),
    history: object({ events: integer, last_id: integer, head: stringOrNull, unchained: integer }),
    skus: list(
      object({
        ...{
          sku: string,
          name: string,
          unit_price: integer,
          created: integer,
          added: integer,
          taken: integer,
        },
        ...{ total: integer, reserved: integer, sold: integer, available: integer, held: integer },
        ...{ waiting_to_available: integer, waiting_from_held: integer },
      }),
    ),
    orders: list(object({ state: string, orders: integer, total: integer })),
    payments: list(
      object({
        ...{ psp: string, state: string, reversal_wanted: boolean },
        ...{ attempts: integer, amount: integer, refunded: integer },
      }),
    ),
    balanced: boolean,
  }),
  sha256: string,
  signature: {
    ...object({ algorithm: string, public_key: string, value: string }),
    type: ['object', 'null'],
  },
});
