/** Operators add units to a sale (topup) and take units out of it (reduce). Each once per Idempotency-Key. */
import { requestFingerprint } from '../../domain/fingerprint.ts';
import { requestHash } from '../../domain/ids.ts';
import { mergeLines } from '../../domain/pricing.ts';
import type { Line } from '../../domain/types.ts';
import { recordReduce } from '../../ledger/sales/record-reduce.ts';
import { type TopupAnswer, topup as topUp } from '../../ledger/sales/topup.ts';
import { reduce as reduceInRedis } from '../../lua/scripts.ts';
import { RedisUnavailable } from '../../platform/redis.ts';
import { LEDGER_WRITE_MS } from '../ledger-guard.ts';
import { json, type Reply, refuse } from '../reply.ts';
import { type Context, type Handler, invalid } from '../route.ts';
import { adoptEpoch, type Sale } from '../sales/sale.ts';
import type { StockChangeBody } from '../schemas/requests.ts';
import { findSale, isSale } from './find-sale.ts';
import type { Services } from './services.ts';

const RUNS_MAX = 3;

export function adminStockHandlers(services: Pick<Services, 'redis' | 'db' | 'ledger' | 'sales'>) {
  const { redis, db, ledger, sales } = services;

  const topup: Handler<StockChangeBody> = async (context) => {
    const request = requestOf(context, 'topup');
    const items = mergeLines(context.body.items);
    const outcome = await ledger.ask(() => topUp(db, { ...request, items }), LEDGER_WRITE_MS);
    switch (outcome.kind) {
      case 'not_found':
        return refuse('not_found');
      case 'key_reused':
        return refuse('idempotency_key_reused');
      case 'unknown_sku':
        return refuse('unknown_sku', { members: { sku: outcome.sku } });
      case 'too_many': {
        const at = context.body.items.findIndex((item) => item.sku === outcome.sku);
        return invalid([{ path: `/items/${at}/qty`, message: 'is more than a sale can hold of one SKU' }]);
      }
      case 'done':
      case 'replay':
        return answer(added(request.sale, outcome.answer), outcome.kind === 'replay');
    }
  };

  const reduce: Handler<StockChangeBody> = async (context) => {
    const request = requestOf(context, 'reduce');
    const items = mergeLines(context.body.items);
    const sale = await findSale(sales, request.tenant, request.sale);
    if (!isSale(sale)) return sale;
    const unknown = items.find((item) => !sale.items.has(item.sku));
    if (unknown) return refuse('unknown_sku', { members: { sku: unknown.sku } });
    const claim = await ledger.ask(() => recordReduce(db, request), LEDGER_WRITE_MS);
    if (claim.kind === 'not_found') return refuse('not_found');
    if (claim.kind === 'key_reused') return refuse('idempotency_key_reused');
    if (claim.kind === 'replay') return answer(taken(sale.id, claim.answer.items), true);
    return takeOut(sale, request, items);
  };

  /** Redis takes, and remembers the key: repeating is harmless. */
  async function takeOut(
    sale: Sale,
    { key, fingerprint }: { key: string; fingerprint: Buffer },
    items: readonly Line[],
  ): Promise<Reply> {
    const id = requestHash(sale.salt, sale.tenant, sale.id, 'operator:reduce', key);
    let now_ms = Date.now();
    for (let run = 1; run <= RUNS_MAX; run++) {
      try {
        const request = { id, fingerprint, request_id: key, items };
        const outcome = await reduceInRedis(redis, sale.token, request, now_ms);
        switch (outcome.kind) {
          case 'taken':
          case 'replay':
            return answer(taken(sale.id, outcome.taken), outcome.kind === 'replay');
          case 'mismatch':
            return refuse('idempotency_key_reused');
          case 'unknown_sku':
            return refuse('unknown_sku');
          case 'refused':
            if (outcome.reason === 'missing' || outcome.reason === 'recovering')
              return refuse('sale_recovering');
            adoptEpoch(sale, outcome);
            now_ms = outcome.now_ms ?? now_ms;
        }
      } catch (error) {
        if (!(error instanceof RedisUnavailable)) throw error;
      }
    }
    return refuse('unavailable');
  }

  return { topup, reduce };
}

// Members in one order, wherever the answer was kept meanwhile: a replay is verbatim.

function added(id: string, { items }: TopupAnswer) {
  return { id, added: items.map(({ sku, qty, total }) => ({ sku, qty, total })) };
}

function taken(id: string, items: readonly Line[]) {
  return { id, taken: items.map(({ sku, qty }) => ({ sku, qty })) };
}

/** The fingerprint takes the body as it was sent. */
function requestOf({ head, caller, key, body }: Context<StockChangeBody>, action: 'topup' | 'reduce') {
  const [sale] = head.params;
  const fingerprint = requestFingerprint(`POST /v1/admin/sales/${sale}/${action}`, body);
  return { tenant: caller.tenant, sale, key, fingerprint };
}

function answer(value: object, replayed: boolean): Reply {
  const headers = ['Cache-Control', 'no-store'];
  if (replayed) headers.push('Idempotent-Replayed', 'true');
  return json(200, value, headers);
}
