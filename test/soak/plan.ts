/** What a soak does, drawn from a seed: who pays how, what becomes of each order, and which faults strike. Pure. */

export type Deed =
  /** Its buyer cancels, the operator gives everything or a part back, the parcel goes out. */
  | { kind: 'cancel' | 'refund_all' | 'ship' | 'confirm'; after_ms: number }
  | { kind: 'refund_part'; amount: number; after_ms: number }
  /** What the buyer decides at the bank; by then the order may be over. */
  | { kind: 'decide'; approve: boolean; after_ms: number };

export type PlannedOrder = {
  token: string;
  road: 'checkout' | 'lock';
  sale: 'at_once' | 'on_shipment';
  /** Length of its hold, ms. */
  left_ms: number;
  deeds: Deed[];
};

export const PRICE = 1_000;

/** Tokens of the sandbox, and how many of a hundred orders pay with each. */
const TOKENS: readonly (readonly [token: string, share: number])[] = [
  ['pm_ok', 62],
  ['pm_declined', 6],
  ['pm_insufficient_funds', 2],
  ['pm_timeout', 5],
  ['pm_error_once', 5],
  ['pm_error_sticky_done', 2],
  ['pm_slow', 3],
  ['pm_late', 3],
  ['pm_3ds', 7],
  ['pm_3ds_declined', 2],
  ['pm_upi', 3],
];

const STEPS = ['authorize', 'capture', 'void', 'refund', 'look_up'] as const;
const STEP_FAULTS = [
  'error_before',
  'error_after',
  'sticky_before',
  'sticky_after',
  'no_answer',
  'unavailable',
  'delay',
] as const;
const WEBHOOK_FAULTS = ['lose', 'double', 'reorder', 'late'] as const;

export type SoakFault = { on: string; kind: string; rate: number; delay_ms?: number };

/** Faults of every kind at every step; `rate`: chance that a call, or a webhook, is struck by one of them. */
export function faultsOf(rate: number): SoakFault[] {
  const each = rate / (STEP_FAULTS.length + 1);
  const steps = STEPS.flatMap((on) => STEP_FAULTS.map((kind) => ({ on, kind, rate: each, delay_ms: 300 })));
  const webhooks = WEBHOOK_FAULTS.map((kind) => ({
    ...{ on: 'webhook', kind, rate: rate / WEBHOOK_FAULTS.length, delay_ms: 4_000 },
  }));
  return [...steps, { on: 'authorize', kind: 'decline', rate: each }, ...webhooks];
}

export function planOrders(count: number, random: () => number): PlannedOrder[] {
  return Array.from({ length: count }, () => planOrder(random));
}

function planOrder(random: () => number): PlannedOrder {
  const token = drawToken(random);
  const road = random() < 0.15 ? 'lock' : 'checkout';
  const sale = random() < 0.3 ? 'on_shipment' : 'at_once';
  // Some holds end while their payment is under way.
  const left_ms = random() < 0.1 ? 300 + random() * 2_000 : 60_000;
  const after = (ms: number) => Math.round(random() * ms);
  const deeds: Deed[] = [];
  if (token.startsWith('pm_3ds') || token === 'pm_upi') {
    deeds.push({ kind: 'decide', approve: random() < 0.85, after_ms: after(3_000) });
  }
  if (road === 'lock') deeds.push({ kind: 'confirm', after_ms: 500 + after(3_000) });
  const fate = random();
  if (fate < 0.08) deeds.push({ kind: 'cancel', after_ms: after(4_000) });
  else if (fate < 0.13) deeds.push({ kind: 'refund_all', after_ms: 500 + after(5_000) });
  if (random() < 0.06) {
    const amount = 1 + Math.floor(random() * (PRICE - 1));
    deeds.push({ kind: 'refund_part', amount, after_ms: 500 + after(5_000) });
  }
  if (random() < 0.3) deeds.push({ kind: 'ship', after_ms: 500 + after(5_000) });
  return { token, road, sale, left_ms: Math.round(left_ms), deeds };
}

function drawToken(random: () => number): string {
  let left = random() * TOKENS.reduce((sum, [, share]) => sum + share, 0);
  for (const [token, share] of TOKENS) {
    left -= share;
    if (left < 0) return token;
  }
  return TOKENS[0][0];
}
