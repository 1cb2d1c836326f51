/** What the routes of merchants' webhooks are for, in words. */
import type { OutcomeCode } from '../../domain/outcomes.ts';
import type { OperationDoc } from './operations.ts';

const ANY: readonly OutcomeCode[] = ['unavailable'];
const ONE: readonly OutcomeCode[] = ['not_found', 'unavailable'];
const tag = 'Merchants';

export const WEBHOOK_OPERATIONS: Readonly<Record<string, OperationDoc>> = {
  create_webhook: {
    tag,
    summary: 'Subscribe: be told of events by webhooks',
    description:
      'Signed by Standard Webhooks 1.0, at least once, in order for each order. The secret is told in this answer and never again.',
    answers: {
      201: { description: 'Subscribed.', schema: 'WebhookEndpointSecret', headers: ['Location'] },
    },
    refusals: ANY,
  },
  list_webhooks: {
    tag,
    summary: 'Endpoints of this tenant',
    answers: { 200: { description: 'All of them.', schema: 'WebhookEndpoints' } },
    refusals: ANY,
  },
  webhook_endpoint: {
    tag,
    summary: 'An endpoint and its latest deliveries',
    answers: {
      200: { description: 'The endpoint, deliveries newest first.', schema: 'WebhookEndpointDetails' },
    },
    refusals: ONE,
  },
  change_webhook: {
    tag,
    summary: 'Change an endpoint, switch it off or on',
    description: 'What waits for an endpoint that is switched off is given up; a replay brings it back.',
    answers: { 200: { description: 'As it is now.', schema: 'WebhookEndpoint' } },
    refusals: ONE,
  },
  delete_webhook: {
    tag,
    summary: 'Delete an endpoint',
    answers: { 204: { description: 'Nothing is sent to it any more.' } },
    refusals: ONE,
  },
  rotate_webhook: {
    tag,
    summary: 'A new secret for an endpoint',
    description: 'For 24 hours both sign: the receiver may change over at any time in between.',
    answers: { 200: { description: 'The new secret.', schema: 'WebhookEndpointSecret' } },
    refusals: ONE,
  },
  test_webhook: {
    tag,
    summary: 'Send a webhook.test',
    description: 'What became of it stands among the latest deliveries.',
    answers: { 202: { description: 'On its way.', schema: 'WebhookTest' } },
    refusals: [...ONE, 'invalid_state'],
  },
  replay_webhook: {
    tag,
    summary: 'Send events of some time again',
    description: 'Under their old webhook-id. What waits for its next try is tried at once.',
    answers: { 202: { description: 'They will come.', schema: 'WebhookReplay' } },
    refusals: [...ONE, 'invalid_state'],
  },
};
