/** A merchant's webhook endpoints. The reconciler sends (reconciler/outbox/webhooks); here is only what is wanted. */
import { randomBytes } from 'node:crypto';
import { eventName, TEST_EVENT_TYPE, testEventName } from '../../domain/event-types.ts';
import { WEBHOOK_ENDPOINTS_MAX, WEBHOOK_SECRET_GRACE_MS } from '../../domain/limits.ts';
import {
  addTest,
  changeEndpoint,
  type DeliveryRow,
  deleteEndpoint,
  type EndpointRow,
  findEndpoint,
  insertEndpoint,
  listEndpoints,
  recentDeliveries,
  rotateSecret,
} from '../../ledger/outbox/endpoints.ts';
import { askReplay } from '../../ledger/outbox/replays.ts';
import { parseTarget } from '../../platform/outgoing/target-url.ts';
import { webhookSecret } from '../../platform/outgoing/webhook-secret.ts';
import { LEDGER_WRITE_MS } from '../ledger-guard.ts';
import { iso, json, type Refusal, type Reply, refuse } from '../reply.ts';
import { type Handler, invalid } from '../route.ts';
import type {
  WebhookChangeBody,
  WebhookEndpointBody,
  WebhookReplayBody,
} from '../schemas/webhook-requests.ts';
import type { Services } from './services.ts';

export type WebhookSettings = {
  /** Absent: this deployment has no webhooks. */
  signing_key?: string;
  /** For development: endpoints on this machine. */
  local: boolean;
};

const PATH = '/v1/merchant/webhooks';
const DELIVERIES_SHOWN = 50;

export function merchantWebhookHandlers(
  services: Pick<Services, 'db' | 'ledger'>,
  settings: WebhookSettings,
) {
  const { db, ledger } = services;
  const { signing_key = '', local } = settings;
  const off = signing_key === '' ? refuse('unavailable', { detail: NOT_HERE }) : undefined;

  /** What is wrong with a URL, if anything is. */
  function urlRefusal(url: string | undefined): Refusal | undefined {
    const target = url === undefined ? undefined : parseTarget(url, { local });
    return target && 'fault' in target ? invalid([{ path: '/url', message: target.fault }]) : undefined;
  }

  const withSecret = (endpoint: EndpointRow) => ({
    ...endpointView(endpoint),
    secret: webhookSecret(signing_key, endpoint.id, endpoint.secret_version),
  });

  const create: Handler<WebhookEndpointBody> = async ({ caller, body }) => {
    const refusal = off ?? urlRefusal(body.url);
    if (refusal) return refusal;
    const { url, types, description = null } = body;
    const id = `whe_${randomBytes(12).toString('hex')}`;
    const wanted = { id, tenant: caller.tenant, url, types: [...new Set(types)], description };
    const made = await ledger.ask(() => insertEndpoint(db, wanted, WEBHOOK_ENDPOINTS_MAX), LEDGER_WRITE_MS);
    if (!made) {
      const message = `there are ${WEBHOOK_ENDPOINTS_MAX} already, and no tenant has more`;
      return invalid([{ path: '', message }]);
    }
    return json(201, withSecret(made), ['Location', `${PATH}/${id}`, 'Cache-Control', 'no-store']);
  };

  const list: Handler = async ({ caller }) => {
    const found = await ledger.ask(() => listEndpoints(db, caller.tenant));
    return json(200, { endpoints: found.map(endpointView) });
  };

  const one: Handler = async ({ head, caller }) => {
    const endpoint = await ledger.ask(() => findEndpoint(db, caller.tenant, head.params[0]));
    if (!endpoint) return refuse('not_found');
    const deliveries = await ledger.ask(() => recentDeliveries(db, endpoint.id, DELIVERIES_SHOWN));
    return json(200, { ...endpointView(endpoint), deliveries: deliveries.map(deliveryView) });
  };

  const change: Handler<WebhookChangeBody> = async ({ head, caller, body }) => {
    const refusal = off ?? urlRefusal(body.url);
    if (refusal) return refusal;
    const changed = await ledger.ask(
      () => changeEndpoint(db, caller.tenant, head.params[0], body),
      LEDGER_WRITE_MS,
    );
    return changed ? json(200, endpointView(changed)) : refuse('not_found');
  };

  const remove: Handler = async ({ head, caller }) => {
    const gone = await ledger.ask(() => deleteEndpoint(db, caller.tenant, head.params[0]), LEDGER_WRITE_MS);
    return gone ? { status: 204, body: '', content_type: '' } : refuse('not_found');
  };

  const rotate: Handler<unknown> = async ({ head, caller }) => {
    if (off) return off;
    const rotated = await ledger.ask(
      () => rotateSecret(db, caller.tenant, head.params[0], WEBHOOK_SECRET_GRACE_MS),
      LEDGER_WRITE_MS,
    );
    return rotated ? json(200, withSecret(rotated)) : refuse('not_found');
  };

  /** What only an endpoint that is on can have. */
  async function whereEnabled(
    tenant: string,
    id: string,
    ask: () => Promise<number | undefined>,
    answer: (made: number) => object,
  ): Promise<Reply> {
    if (off) return off;
    const made = await ledger.ask(ask, LEDGER_WRITE_MS);
    if (made !== undefined) return json(202, answer(made));
    const known = await ledger.ask(() => findEndpoint(db, tenant, id));
    return known ? refuse('invalid_state', { members: { state: 'disabled' } }) : refuse('not_found');
  }

  const test: Handler<unknown> = ({ head, caller }) => {
    const [id] = head.params;
    const ask = () => addTest(db, caller.tenant, id, TEST_EVENT_TYPE);
    return whereEnabled(caller.tenant, id, ask, (delivery) => ({ webhook_id: testEventName(delivery) }));
  };

  const replay: Handler<WebhookReplayBody> = ({ head, caller, body }) => {
    const [id] = head.params;
    const since = new Date(body.since);
    const until = body.until === undefined ? undefined : new Date(body.until);
    if (until && until <= since) return invalid([{ path: '/until', message: 'must be after since' }]);
    const ask = () => askReplay(db, caller.tenant, id, { since, until, types: body.types });
    return whereEnabled(caller.tenant, id, ask, (replay_id) => ({
      replay_id,
      since: iso(since.getTime()),
      until: until ? iso(until.getTime()) : null,
    }));
  };

  return { create, list, one, change, remove, rotate, test, replay };
}

const NOT_HERE = 'This deployment sends no webhooks: it has no WEBHOOK_SIGNING_KEY.';

const time = (at: Date | null): string | null => at && iso(at.getTime());

function endpointView(endpoint: EndpointRow) {
  const { id, url, description, types, enabled, disabled_reason, disabled_at, previous_until } = endpoint;
  return {
    ...{ id, url, description, types, enabled },
    disabled: disabled_reason && { reason: disabled_reason, since: time(disabled_at) },
    failing_since: time(endpoint.failing_since),
    previous_secret_until:
      previous_until && previous_until.getTime() > Date.now() ? time(previous_until) : null,
    created_at: time(endpoint.created_at),
    updated_at: time(endpoint.updated_at),
  };
}

function deliveryView(delivery: DeliveryRow) {
  const { id, event_id, type, order_id, state, tries, last_status, last_error } = delivery;
  return {
    webhook_id: event_id === null ? testEventName(id) : eventName(event_id),
    ...{ type, order_id, state, tries, last_status, last_error },
    wanted_at: time(delivery.wanted_at),
    tried_at: time(delivery.tried_at),
    finished_at: time(delivery.finished_at),
    next_try_at: time(delivery.next_try_at),
  };
}
