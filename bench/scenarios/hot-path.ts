/**
 * What a checkout costs the engine in its own code, step by step: the very functions, alone in this process, in CPU and not in
 * time, so that a busy machine changes little. What is left of a request's CPU is the server, sockets and the kernel.
 */
import { randomBytes } from 'node:crypto';
import { requestFingerprint } from '../../domain/fingerprint.ts';
import { buyerHash, encodeOrderId, requestHash, SALT_BYTES } from '../../domain/ids.ts';
import { priceOrder } from '../../domain/pricing.ts';
import { createTurningMap } from '../../engine/access/turning-map.ts';
import { reservationJson } from '../../engine/orders/order-view.ts';
import { problemBody, refuse } from '../../engine/reply.ts';
import { checkoutBody } from '../../engine/schemas/requests.ts';
import { compile } from '../../engine/schemas/validate.ts';
import { encodeOrderPayload } from '../../lua/order-payload.ts';
import { encodeAnswer } from '../../lua/reservation-record.ts';
import { columns } from '../../lua/reserve-batch.ts';
import { checkoutJson } from './load.ts';
import type { Stand } from './stand.ts';

const ROUNDS = 5;
const TOKENS = 20_000;
const BATCH = 64;
const NOW_MS = 1_800_000_000_000;

export const hotPath: Stand = {
  name: 'hot-path',
  what: 'CPU of each step that a checkout takes in the engine, alone.',
  sizes: { calls: { what: 'calls of each step in a round', standard: 200_000, quick: 2_000 } },
  async measure({ sizes, say }) {
    const figures = Object.entries(steps()).map(([what, step]) => {
      const value = cheapest(step, sizes.calls ?? 0);
      say(`  ${what}: ${value.toFixed(2)} us`);
      return { what, value, unit: 'us' };
    });
    return { figures, wrong: [] };
  },
};

/** CPU of one call, us; of the cheapest round, because others only add to it. */
function cheapest(step: (i: number) => unknown, calls: number): number {
  let best = Number.POSITIVE_INFINITY;
  // Kept, so that no call can be left out.
  let kept: unknown;
  for (let round = 0; round < ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < calls; i++) kept = step(i);
    const { user, system } = process.cpuUsage(before);
    best = Math.min(best, (user + system) / calls);
  }
  if (kept === undefined) throw new Error('a step made nothing');
  return best;
}

function steps(): Record<string, (i: number) => unknown> {
  const sale_id = 'bench-0';
  const salt = randomBytes(SALT_BYTES);
  const text = checkoutJson(sale_id, ['sku-0000000']);
  const body = JSON.parse(text);
  const validate = compile(checkoutBody);
  const lines = [{ sku: 'sku-0000000', qty: 1, unit_price: 1_250 }];
  const amounts = priceOrder('USD', lines);
  const hash = requestHash(salt, 'default', sale_id, 'bench-buyer-0', 'a-key-of-16-chars');
  const buyer_hash = buyerHash(salt, 'bench-buyer-0');
  const fingerprint = requestFingerprint('POST /v1/checkout', body);
  const order = {
    ...{ hash, buyer: 'bench-buyer-0', buyer_hash, fingerprint, road: 'checkout' as const, limit_units: 1 },
    ...{ lines, amounts, contact: null },
    ...{ payment_method: body.payment_method, shipping_address: body.shipping_address },
  };
  const answer = encodeAnswer('checkout', amounts, lines, [0]);
  const payload = encodeOrderPayload(order);
  const batch = Array.from({ length: BATCH }, () => ({
    ...{ id: hash, fingerprint, buyer_hash, lines, answer, payload },
  }));
  const order_id = encodeOrderId({ route: hash.subarray(0, 6), day: 20_000, hash });
  const soldOut = { members: { short: [{ sku: 'sku-0000000', requested: 1, available: 0 }] } };
  const remembered = createTurningMap<number>(4 * TOKENS);
  const headers = Array.from({ length: TOKENS }, () => Buffer.from(randomBytes(150).toString('base64url')));
  headers.forEach((bytes, i) => {
    remembered.set(bytes.toString('latin1'), i);
  });
  return {
    // A header is a new string with each request.
    'find a verified token again': (i) => remembered.get(headers[i % TOKENS]?.toString('latin1') ?? ''),
    'parse the body': () => JSON.parse(text),
    'validate it': () => validate(body),
    'id of the request': (i) =>
      requestHash(salt, 'default', sale_id, 'bench-buyer-0', `a-key-of-16-chars-${i}`),
    'refusal as text': (i) => problemBody(refuse('sold_out', soldOut), `request-${i}`),
    'fingerprint of the request': () => requestFingerprint('POST /v1/checkout', body),
    'hash of the buyer': () => buyerHash(salt, 'bench-buyer-0'),
    'order for the ledger': () => encodeOrderPayload(order),
    'answer for a replay': () => encodeAnswer('checkout', amounts, lines, [0]),
    'order id': () => encodeOrderId({ route: hash.subarray(0, 6), day: 20_000, hash }),
    'success as text': (i) => {
      // A batch has its time in common.
      const reserved_at_ms = NOW_MS + Math.floor(i / BATCH);
      const expires_at_ms = reserved_at_ms + 600_000;
      return reservationJson({ order_id, sale_id, items: lines, amounts, reserved_at_ms, expires_at_ms });
    },
    [`columns of a batch of ${BATCH}, all together`]: () => columns(batch),
  };
}
