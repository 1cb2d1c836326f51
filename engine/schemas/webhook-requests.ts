/** Bodies about merchants' webhook endpoints. */
import type { FromSchema } from 'json-schema-to-ts';
import { EVENT_TYPES } from '../../domain/event-types.ts';
import { text, time } from './fragments.ts';
import type { BodySchema } from './validate.ts';

/** Judged by parseTarget: a schema cannot. */
const url = {
  type: 'string',
  minLength: 1,
  maxLength: 2_048,
  description: 'https, to a public address, without redirects',
} as const;

const types = {
  type: 'array',
  maxItems: 50,
  items: { type: 'string', enum: EVENT_TYPES },
  description: 'Types of events that are sent; empty: all of them',
} as const;

const description = text(200);

const endpoint = {
  $id: 'WebhookEndpointRequest',
  type: 'object',
  additionalProperties: false,
  required: ['url'],
  properties: { url, types: { ...types, default: [] }, description },
} as const;
export type WebhookEndpointBody = { url: string; types: string[]; description?: string };
export const webhookEndpointBody: BodySchema<WebhookEndpointBody> = endpoint;

const change = {
  $id: 'WebhookEndpointChange',
  type: 'object',
  additionalProperties: false,
  properties: {
    url,
    types,
    description,
    enabled: { type: 'boolean', description: 'true also where it was disabled for failing' },
  },
} as const;
export type WebhookChangeBody = Partial<WebhookEndpointBody> & { enabled?: boolean };
export const webhookChangeBody: BodySchema<WebhookChangeBody> = change;

const replay = {
  $id: 'WebhookReplayRequest',
  type: 'object',
  additionalProperties: false,
  required: ['since'],
  properties: {
    since: time,
    until: { ...time, description: 'Absent: now' },
    types: { ...types, default: [] },
  },
} as const;
export type WebhookReplayBody = FromSchema<typeof replay> & { types: string[] };
export const webhookReplayBody: BodySchema<WebhookReplayBody> = replay;
