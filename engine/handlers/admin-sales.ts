/** Operators make sales and set their gates. The ledger comes first, the answer when Redis has it. */
import { effectiveGate } from '../../domain/gate.ts';
import type { Gate } from '../../domain/types.ts';
import { createSale, type NewSale } from '../../ledger/sales/create-sale.ts';
import { type GateAction, setGate } from '../../ledger/sales/set-gate.ts';
import { gate as setGateInRedis } from '../../lua/scripts.ts';
import { refusePayment } from '../../payments/providers.ts';
import type { TermsRefusal } from '../../payments/terms.ts';
import { RedisUnavailable } from '../../platform/redis.ts';
import { LEDGER_WRITE_MS } from '../ledger-guard.ts';
import { iso, json, type Refusal, type Reply, refuse } from '../reply.ts';
import { type Handler, invalid } from '../route.ts';
import { adoptEpoch, type Sale } from '../sales/sale.ts';
import type { SaleBody } from '../schemas/requests.ts';
import type { Fault } from '../schemas/validate.ts';
import { findSale, isSale } from './find-sale.ts';
import { saleView } from './sales.ts';
import type { Services } from './services.ts';

/** How long a new sale may take to be loaded, and a gate to get through, ms. */
const PATIENCE_MS = 5_000;
const LOOK_MS = 25;

export function adminSaleHandlers(
  services: Pick<Services, 'redis' | 'db' | 'ledger' | 'sales' | 'stock' | 'providers'>,
) {
  const { redis, db, ledger, sales, stock, providers } = services;

  const create: Handler<SaleBody> = async ({ caller, body }) => {
    const sale = newSale(caller.tenant, body);
    if ('faults' in sale) return invalid(sale.faults);
    const cannot = refusePayment(providers, body);
    if (cannot) return invalid([{ path: FIELD_OF_REFUSAL[cannot.code], message: cannot.reason }]);
    const made = await ledger.ask(() => createSale(db, sale), LEDGER_WRITE_MS);
    if (made.kind === 'conflict') return refuse('sale_exists');
    return (await opened(caller.tenant, body)) ?? refuse('sale_recovering', { detail: NOT_LOADED });
  };

  /** The 201, once the reconciler has loaded the sale and it sells; undefined if that takes too long. */
  async function opened(tenant: string, body: SaleBody): Promise<Reply | undefined> {
    const until_ms = performance.now() + PATIENCE_MS;
    while (performance.now() < until_ms) {
      const sale = await findSale(sales, tenant, body.id);
      if (isSale(sale)) {
        const now = await stock(sale).catch(() => undefined);
        if (now && now.state !== 'recovering') {
          const view = saleView(sale, now);
          const items = view.items.map((item, i) => ({ ...item, qty: body.items[i]?.qty }));
          return json(201, { ...view, items }, [
            'Location',
            `/v1/sales/${sale.id}`,
            'Cache-Control',
            'no-store',
          ]);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return undefined;
  }

  /** The handler of one of open, pause, resume, close. */
  function gate(action: GateAction): Handler<unknown> {
    return async ({ head, caller }) => {
      const [id] = head.params;
      const set = await ledger.ask(() => setGate(db, caller.tenant, id, action), LEDGER_WRITE_MS);
      if (set.kind === 'not_found') return refuse('not_found');
      if (set.kind === 'invalid_state') return refuse('invalid_state', { members: { state: set.gate } });
      const sale = await findSale(sales, caller.tenant, id);
      if (!isSale(sale)) return sale;
      const refusal = await takeToRedis(sale, set);
      if (refusal) return refusal;
      const now_ms = Date.now();
      const times = { gate: set.gate, opens_at_ms: sale.opens_at_ms, closes_at_ms: sale.closes_at_ms };
      return json(200, { id, state: effectiveGate(times, now_ms), server_time: iso(now_ms) });
    };
  }

  /** Until Redis has this version or a higher one. The reconciler does the same, so giving up loses nothing. */
  async function takeToRedis(
    sale: Sale,
    wanted: { gate: Gate; version: number },
  ): Promise<Refusal | undefined> {
    const until_ms = performance.now() + PATIENCE_MS;
    let refusal = refuse('unavailable');
    while (performance.now() < until_ms) {
      try {
        const answer = await setGateInRedis(redis, sale.token, wanted);
        if (answer.kind !== 'refused') return undefined;
        refusal = refuse('sale_recovering');
        adoptEpoch(sale, answer);
      } catch (error) {
        if (!(error instanceof RedisUnavailable)) throw error;
        refusal = refuse('unavailable');
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    return refusal;
  }

  return { create, gate };
}

/** Which field asks for what the provider can't do. */
const FIELD_OF_REFUSAL = {
  psp_not_configured: '/psp',
  currency_not_supported: '/currency',
  method_not_supported: '/psp',
  capture_not_supported: '/capture',
} as const satisfies Record<TermsRefusal['code'], string>;

const NOT_LOADED =
  'The sale is in the ledger but not on sale yet. The same request again tells when it is; nothing is made twice.';

/** The body in the ledger's words, or what no schema can say of it. */
function newSale(tenant: string, body: SaleBody): NewSale | { faults: Fault[] } {
  const faults: Fault[] = [];
  const opens_at_ms = body.opens_at === undefined ? undefined : Date.parse(body.opens_at);
  const closes_at_ms = body.closes_at === undefined ? undefined : Date.parse(body.closes_at);
  if (opens_at_ms !== undefined && closes_at_ms !== undefined && closes_at_ms <= opens_at_ms) {
    faults.push({ path: '/closes_at', message: 'must be after opens_at' });
  }
  const seen = new Set<string>();
  body.items.forEach(({ sku }, i) => {
    if (seen.has(sku)) faults.push({ path: `/items/${i}/sku`, message: 'is there twice' });
    seen.add(sku);
  });
  if (faults.length > 0) return { faults };
  return {
    tenant,
    id: body.id,
    currency: body.currency,
    opens_at_ms,
    closes_at_ms,
    hold_ms: body.hold_seconds * 1000,
    limit_per_buyer: body.limit_per_buyer,
    psp: body.psp,
    capture: body.capture,
    items: body.items,
    // What a body leaves out and what it sets to the default are the same request.
    body: {
      ...body,
      opens_at: opens_at_ms ?? null,
      closes_at: closes_at_ms ?? null,
      capture: body.capture === 'at_once' ? undefined : body.capture,
    },
  };
}
