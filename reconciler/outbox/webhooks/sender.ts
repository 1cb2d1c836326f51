/**
 * Sends what the sink has written down. One process at a time sends; so many at once in all and for one endpoint. A
 * delivery is claimed for longer than a try can last: whatever happens to us then, it is tried again under the same
 * name.
 */
import {
  type ClaimedDelivery,
  claimDeliveries,
  recordDelivered,
  recordFailed,
  type SendableEndpoint,
  sendableEndpoints,
} from '../../../ledger/outbox/deliveries.ts';
import {
  endpointFailed,
  endpointGone,
  endpointSucceeded,
  type FailurePolicy,
} from '../../../ledger/outbox/endpoint-health.ts';
import type { Logger } from '../../../platform/log.ts';
import type { GuardedPost, Posted } from '../../../platform/outgoing/guarded-post.ts';
import { signWebhook, webhookSecret } from '../../../platform/outgoing/webhook-secret.ts';
import type { Pool } from '../../../platform/postgres.ts';
import { messageOf } from './message.ts';
import type { WebhookMetrics } from './metrics.ts';
import { retryAfterMs, retryDelayMs } from './schedule.ts';

export type SenderOptions = {
  pool: Pool;
  target: GuardedPost;
  signing_key: string;
  metrics: WebhookMetrics;
  log: Logger;
  limits?: Partial<SenderLimits>;
  policy?: Partial<FailurePolicy>;
  /** From 0 to 1. */
  random?: () => number;
  /** Called when a try has ended: there is room. */
  on_end?: () => void;
};

export type SenderLimits = {
  /** Tries under way. */
  at_once: number;
  at_once_per_endpoint: number;
  lease_ms: number;
};

const LIMITS: SenderLimits = { at_once: 128, at_once_per_endpoint: 16, lease_ms: 30_000 };

const POLICY: FailurePolicy = {
  hold_after: 5,
  hold_ms: 5_000,
  hold_ms_max: 300_000,
  disable_after_ms: 5 * 24 * 3_600_000,
};
/** For so long a receiver's Retry-After holds back everything that is for it. */
const ASKED_HOLD_MS_MAX = 3_600_000;
const USER_AGENT = 'Stampede-Webhooks/1';

export type Sender = {
  /** Claims and begins what there is room for. Returns how many tries it began. */
  step(): Promise<number>;
  /** Resolves when nothing is under way. */
  idle(): Promise<void>;
};

export function createSender(options: SenderOptions): Sender {
  const { pool, target, signing_key, metrics, log, random = Math.random } = options;
  const limits = { ...LIMITS, ...options.limits };
  const policy = { ...POLICY, ...options.policy };
  const under_way = new Map<string, number>();
  const tries = new Set<Promise<void>>();

  function roomFor(endpoint: SendableEndpoint): number {
    // One that is held back is asked by one try.
    const most = endpoint.failures >= policy.hold_after ? 1 : limits.at_once_per_endpoint;
    return Math.min(most - (under_way.get(endpoint.id) ?? 0), limits.at_once - tries.size);
  }

  async function attempt(endpoint: SendableEndpoint, delivery: ClaimedDelivery): Promise<void> {
    const { id, body } = messageOf(delivery);
    const versions = [
      endpoint.secret_version,
      ...(endpoint.previous_counts ? [endpoint.secret_version - 1] : []),
    ];
    const secrets = versions.map((version) => webhookSecret(signing_key, endpoint.id, version));
    const headers = {
      'content-type': 'application/json',
      'user-agent': USER_AGENT,
      ...signWebhook({ id, at_ms: Date.now(), body, secrets }),
    };
    const ended = metrics.requestSeconds.startTimer();
    const posted = await target.post(endpoint.url, headers, body);
    ended();
    await record(endpoint, delivery, posted);
  }

  async function record(
    endpoint: SendableEndpoint,
    delivery: ClaimedDelivery,
    posted: Posted,
  ): Promise<void> {
    const status = posted.kind === 'answered' ? posted.status : null;
    if (status !== null && status >= 200 && status < 300) {
      if (await recordDelivered(pool, delivery, status)) {
        metrics.deliveries.inc({ outcome: 'delivered' });
        metrics.latencySeconds.observe(Math.max(0, Date.now() - delivery.wanted_at.getTime()) / 1000);
      }
      if (endpoint.failures > 0 || delivery.tries > 1) await endpointSucceeded(pool, endpoint.id);
      return;
    }
    if (posted.kind === 'refused') metrics.refused.inc();
    const asked_ms = posted.kind === 'answered' ? retryAfterMs(posted.retry_after, Date.now()) : 0;
    const again_ms = status === 410 ? null : retryDelayMs(delivery.tries, random(), asked_ms);
    const error = posted.kind === 'answered' ? `it answered ${posted.status}` : posted.reason;
    if (await recordFailed(pool, delivery, { status, error, again_ms })) {
      metrics.deliveries.inc({ outcome: again_ms === null ? 'given_up' : 'retried' });
    }
    await judge(endpoint, status, asked_ms);
  }

  async function judge(endpoint: SendableEndpoint, status: number | null, asked_ms: number): Promise<void> {
    if (status === 410) {
      if (await endpointGone(pool, endpoint.id)) disabled(endpoint, 'gone');
      return;
    }
    const busy = status === 429 || status === 503;
    const hold_ms = busy ? Math.min(asked_ms, ASKED_HOLD_MS_MAX) : 0;
    if (await endpointFailed(pool, endpoint.id, policy, hold_ms)) disabled(endpoint, 'failing');
  }

  function disabled(endpoint: SendableEndpoint, reason: 'gone' | 'failing'): void {
    metrics.disabled.inc({ reason });
    log.warn({ endpoint: endpoint.id, reason }, 'a webhook endpoint is disabled');
  }

  function begin(endpoint: SendableEndpoint, delivery: ClaimedDelivery): void {
    under_way.set(endpoint.id, (under_way.get(endpoint.id) ?? 0) + 1);
    const trying = attempt(endpoint, delivery)
      // What could not be recorded is tried again when the claim ends.
      .catch((error: unknown) =>
        log.warn({ err: error, delivery: delivery.id }, 'a delivery is not recorded'),
      )
      .finally(() => {
        const left = (under_way.get(endpoint.id) ?? 1) - 1;
        if (left > 0) under_way.set(endpoint.id, left);
        else under_way.delete(endpoint.id);
        tries.delete(trying);
        options.on_end?.();
      });
    tries.add(trying);
  }

  return {
    async step() {
      if (tries.size >= limits.at_once) return 0;
      const full = [...under_way].filter(([, count]) => count >= limits.at_once_per_endpoint);
      const endpoints = await sendableEndpoints(
        pool,
        full.map(([id]) => id),
      );
      let begun = 0;
      // From another one each time: who comes first has the room.
      const first = Math.floor(random() * endpoints.length);
      for (const endpoint of [...endpoints.slice(first), ...endpoints.slice(0, first)]) {
        const limit = roomFor(endpoint);
        if (limit <= 0) continue;
        const { lease_ms } = limits;
        const claimed = await claimDeliveries(pool, endpoint.id, { limit, lease_ms });
        for (const delivery of claimed) begin(endpoint, delivery);
        begun += claimed.length;
      }
      return begun;
    },
    async idle() {
      await Promise.all(tries);
    },
  };
}
