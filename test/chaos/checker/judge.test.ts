import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { EventRow, LedgerRows, MovementRow, OrderRow, Payment } from './evidence.ts';
import { judge, RULES } from './judge.ts';
import type { BuyLine, Line } from './lines.ts';

/**
 * A world in which all is well: o-1 sold and paid, o-2 canceled after it was captured, o-3 expired, k-4 refused. Each
 * test breaks one thing in a copy of it.
 */
type World = { lines: Line[]; ledger: LedgerRows; payments: Payment[] };

const PRICE = 500;
const answer = (id: string, qty: number) =>
  JSON.stringify({
    ...{ order_id: id, sale_id: 's', state: 'reserved', items: [{ sku: 'a', qty, unit_price: PRICE }] },
    amounts: { currency: 'USD', subtotal: qty * PRICE, discount: 0, shipping: 0, tax: 0, total: qty * PRICE },
  });

function buy(no: number, change: Partial<BuyLine> = {}): BuyLine {
  return {
    ...{ t: 'buy', kind: 'fresh', road: 'checkout', engine: 0, sent: no * 10, done: no * 10 + 5 },
    ...{ sale: 's', buyer: `b-${no}`, key: `k-${no}`, items: [{ sku: 'a', qty: 1 }] },
    ...{ status: 201, text: answer(`o-${no}`, 1) },
    ...change,
  };
}

function order(no: number, state: string, change: Partial<OrderRow> = {}): OrderRow {
  return {
    ...{ id: `o-${no}`, sale: 's', buyer: `b-${no}`, email: `k-${no}@chaos.example`, state, restock: false },
    ...{ currency: 'USD', total: PRICE, subtotal: PRICE, seq: no },
    items: [{ sku: 'a', qty: 1, unit_price: PRICE }],
    ...{ refunds_done: 0, refunds_open: 0, unfinished_attempts: 0 },
    ...change,
  };
}

const payment = (no: number, status: string, captured: number, refunded: number): Payment => ({
  ...{ id: `p-${no}`, order_id: `o-${no}`, status, amount: PRICE, currency: 'USD', captured, refunded },
});
const event = (no: number, from_state: string | null, to_state: string): EventRow => ({
  ...{ order_id: `o-${no}`, from_state, to_state, cause: 'x' },
});
const moved = (no: number, to_available: number, from_held: number): MovementRow => ({
  ...{ order_id: `o-${no}`, sale: 's', sku: 'a', to_available, from_held },
});

function world(): World {
  return {
    lines: [
      { t: 'sale', sale: 's', items: [{ sku: 'a', qty: 2, unit_price: PRICE }], limit: 1, currency: 'USD' },
      buy(1),
      buy(2),
      buy(3, { sent: 80, done: 85 }),
      buy(4, { status: 409, code: 'sold_out', text: undefined }),
      buy(1, { kind: 'retry', sent: 90, done: 95, replayed: true }),
      buy(1, {
        ...{ kind: 'altered', sent: 91, done: 96, status: 422, code: 'idempotency_key_reused' },
        ...{ text: undefined, items: [{ sku: 'a', qty: 2 }] },
      }),
      {
        t: 'operate',
        verb: 'topup',
        sent: 60,
        done: 65,
        sale: 's',
        key: 't',
        items: [{ sku: 'a', qty: 3 }],
        status: 200,
      },
      { t: 'operate', verb: 'close', sent: 100, done: 105, sale: 's', status: 200 },
      { t: 'stock', sale: 's', items: [{ sku: 'a', available: 4, held: 0 }] },
    ],
    ledger: {
      sales: [
        {
          ...{
            sale: 's',
            gate: 'closed',
            fenced_reason: null,
            seq: 9,
            applied_n: 3,
            acked_n: 3,
            sealed_n: 3,
          },
          unsealed: 0,
        },
      ],
      skus: [{ sale: 's', sku: 'a', total: 5, reserved: 0, sold: 1 }],
      orders: [order(1, 'confirmed'), order(2, 'canceled'), order(3, 'expired')],
      movements: [moved(1, 0, 1), moved(2, 1, 1), moved(3, 1, 1)],
      events: [
        event(1, null, 'reserved'),
        event(2, null, 'reserved'),
        event(1, 'reserved', 'authorized'),
        event(1, 'authorized', 'confirmed'),
        event(2, 'reserved', 'canceled'),
        event(3, null, 'reserved'),
        event(3, 'reserved', 'expired'),
      ],
    },
    payments: [payment(1, 'captured', PRICE, 0), payment(2, 'refunded', PRICE, PRICE)],
  };
}

function rulesBroken({ lines, ledger, payments }: World): string[] {
  const { violations } = judge(lines, ledger, payments);
  return [...new Set(violations.map(({ rule }) => rule))].sort();
}

const orderOf = (world: World, no: number) =>
  world.ledger.orders.find(({ id }) => id === `o-${no}`) as OrderRow;
const buyOf = (world: World, at: number) => world.lines[at] as BuyLine;
const drop = (world: World, no: number) => {
  world.ledger.orders = world.ledger.orders.filter(({ id }) => id !== `o-${no}`);
};

test('a world in which all is well has no violation, and every rule has looked at something', () => {
  const { lines, ledger, payments } = world();
  const { violations, checked } = judge(lines, ledger, payments);
  expect(violations).toEqual([]);
  expect(Object.keys(checked)).toEqual(Object.keys(RULES));
});

const PLANTED: [what: string, rules: string[], plant: (world: World) => void][] = [
  [
    'an acknowledged order is not in the ledger',
    ['acknowledged_is_there', 'each_unit_back_once'],
    (w) => drop(w, 3),
  ],
  [
    'it has other amounts',
    ['acknowledged_is_there', 'money'],
    (w) => {
      orderOf(w, 1).total = 400;
    },
  ],
  [
    'it has other units',
    ['acknowledged_is_there'],
    (w) => {
      orderOf(w, 3).items = [{ sku: 'a', qty: 2, unit_price: PRICE }];
    },
  ],
  [
    'it is somebody else’s',
    ['acknowledged_is_there'],
    (w) => {
      orderOf(w, 1).buyer = 'b-2';
    },
  ],
  [
    'it was rejected',
    ['acknowledged_is_there'],
    (w) => {
      orderOf(w, 3).state = 'rejected';
    },
  ],
  [
    'a price that the sale does not have',
    ['acknowledged_is_there'],
    (w) => {
      Object.assign(buyOf(w, 3), { text: answer('o-3', 1).replaceAll('500', '400') });
      Object.assign(orderOf(w, 3), { total: 400, subtotal: 400 });
    },
  ],
  [
    'a key has two orders',
    ['one_effect_a_key'],
    (w) => {
      w.ledger.orders.push(order(5, 'expired', { buyer: 'b-3', email: 'k-3@chaos.example' }));
      w.ledger.movements.push(moved(5, 1, 1));
    },
  ],
  [
    'a repeat gives another answer',
    ['one_effect_a_key'],
    (w) => {
      buyOf(w, 5).text = answer('o-1', 1).replace('reserved', 'confirmed');
    },
  ],
  [
    'a repeat gives another order',
    ['acknowledged_is_there', 'one_effect_a_key'],
    (w) => {
      buyOf(w, 5).text = answer('o-2', 1);
    },
  ],
  [
    'a repeat is refused',
    ['answers_are_sane'],
    (w) => {
      Object.assign(buyOf(w, 5), { status: 409, code: 'sold_out', text: undefined, replayed: undefined });
    },
  ],
  [
    'a repeat is not marked',
    ['answers_are_sane'],
    (w) => {
      buyOf(w, 5).replayed = undefined;
    },
  ],
  [
    'another request under a key gets the order',
    ['answers_are_sane', 'acknowledged_is_there'],
    (w) => {
      Object.assign(buyOf(w, 6), { status: 201, text: answer('o-1', 1), replayed: true });
    },
  ],
  [
    'an order that nobody asked for',
    ['no_order_unasked'],
    (w) => {
      w.ledger.orders.push(order(9, 'expired'));
      w.ledger.movements.push(moved(9, 1, 1));
    },
  ],
  [
    'an order from a refused request',
    ['no_order_unasked'],
    (w) => {
      w.ledger.orders.push(order(4, 'expired'));
      w.ledger.movements.push(moved(4, 1, 1));
    },
  ],
  [
    'an order from a request that was not valid',
    ['no_order_unasked'],
    (w) => {
      w.lines.push(buy(7, { kind: 'invalid', status: undefined, text: undefined }));
      w.ledger.orders.push(order(7, 'expired'));
      w.ledger.movements.push(moved(7, 1, 1));
    },
  ],
  [
    'a 500',
    ['answers_are_sane'],
    (w) => {
      w.lines.push(buy(8, { status: 500, text: undefined }));
    },
  ],
  [
    'what is not valid is taken',
    ['answers_are_sane', 'acknowledged_is_there'],
    (w) => {
      w.lines.push(buy(8, { kind: 'invalid' }));
    },
  ],
  [
    'sold after the sale was closed',
    ['gates_hold'],
    (w) => {
      Object.assign(buyOf(w, 3), { sent: 110, done: 115 });
    },
  ],
  [
    'units out of nothing',
    ['books_agree', 'totals'],
    (w) => {
      for (const sku of w.ledger.skus) sku.total = 6;
    },
  ],
  [
    'a reduce that took nothing',
    ['totals'],
    (w) => {
      const items = [{ sku: 'a', qty: 1 }];
      w.lines.push({
        t: 'operate',
        verb: 'reduce',
        sent: 1,
        done: 2,
        sale: 's',
        key: 'r',
        items,
        taken: items,
        status: 200,
      });
    },
  ],
  [
    'counters that are not the orders’',
    ['books_agree'],
    (w) => {
      for (const sku of w.ledger.skus) Object.assign(sku, { sold: 2 });
    },
  ],
  [
    'Redis with a unit too many',
    ['books_agree'],
    (w) => {
      w.lines.push({ t: 'stock', sale: 's', items: [{ sku: 'a', available: 5, held: 0 }] });
    },
  ],
  [
    'oversold for a moment',
    ['never_oversold'],
    (w) => {
      w.ledger.skus = w.ledger.skus.map((sku) => ({ ...sku, total: 2 }));
      w.lines = w.lines.filter(({ t }) => t !== 'stock');
      w.lines = w.lines.filter((line) => line.t !== 'operate' || line.verb !== 'topup');
      w.lines.push({ t: 'stock', sale: 's', items: [{ sku: 'a', available: 1, held: 0 }] });
      w.ledger.events = [
        event(3, null, 'reserved'),
        ...w.ledger.events.filter((e) => e.order_id !== 'o-3'),
        event(3, 'reserved', 'expired'),
      ];
    },
  ],
  [
    'a unit comes back twice',
    ['each_unit_back_once'],
    (w) => {
      w.ledger.movements.push(moved(2, 1, 0));
    },
  ],
  [
    'a unit does not come back',
    ['each_unit_back_once'],
    (w) => {
      w.ledger.movements = w.ledger.movements.filter(({ order_id }) => order_id !== 'o-3');
    },
  ],
  [
    'a sold unit comes back',
    ['each_unit_back_once'],
    (w) => {
      w.ledger.movements.push(moved(1, 1, 0));
    },
  ],
  [
    'a buyer above the limit',
    ['limits_hold'],
    (w) => {
      const [first, second] = [orderOf(w, 1), orderOf(w, 2)];
      second.buyer = first.buyer;
      buyOf(w, 2).buyer = first.buyer;
    },
  ],
  [
    'charged twice',
    ['money'],
    (w) => {
      w.payments.push({ ...payment(1, 'captured', PRICE, 0), id: 'p-5' });
    },
  ],
  [
    'charged and canceled',
    ['money'],
    (w) => {
      Object.assign(w.payments[1] as Payment, { status: 'captured', refunded: 0 });
    },
  ],
  [
    'goods for nothing',
    ['money'],
    (w) => {
      w.payments = [];
    },
  ],
  [
    'charged for an order that is not there',
    ['money'],
    (w) => {
      w.payments.push(payment(6, 'captured', PRICE, 0));
    },
  ],
  [
    'another amount taken',
    ['money'],
    (w) => {
      Object.assign(w.payments[0] as Payment, { amount: 600, captured: 600 });
    },
  ],
  [
    'an authorization left hanging',
    ['money'],
    (w) => {
      w.payments.push({ ...payment(3, 'authorized', 0, 0) });
    },
  ],
  [
    'a refund that nobody asked for',
    ['money', 'refunds'],
    (w) => {
      orderOf(w, 1).refunds_done = 100;
    },
  ],
  [
    'something left to do',
    ['drained'],
    (w) => {
      orderOf(w, 1).unfinished_attempts = 1;
    },
  ],
  [
    'a sale that stays closed by its fence',
    ['drained'],
    (w) => {
      for (const sale of w.ledger.sales) sale.fenced_reason = 'stream_gap';
    },
  ],
  [
    'movements that did not arrive',
    ['drained'],
    (w) => {
      for (const sale of w.ledger.sales) sale.acked_n = 2;
    },
  ],
  [
    'a process that ended by itself',
    ['no_surprises'],
    (w) => {
      w.lines.push({ t: 'surprise', what: 'engine-0 ended by itself' });
    },
  ],
];

describe('planted: every rule finds what it is for', () => {
  test.each(PLANTED)('%s', (_what, rules, plant) => {
    const broken = world();
    plant(broken);
    expect(rulesBroken(broken)).toEqual(expect.arrayContaining(rules));
  });

  test('no rule is left without a planted violation', () => {
    const found = new Set(PLANTED.flatMap(([, rules]) => rules));
    expect(Object.keys(RULES).filter((rule) => !found.has(rule))).toEqual([]);
  });
});

describe('what a fault may cost', () => {
  const lost = (change: object) => {
    const broken = world();
    drop(broken, 3);
    broken.ledger.movements = broken.ledger.movements.filter(({ order_id }) => order_id !== 'o-3');
    broken.lines.push(
      Object.assign(
        {
          t: 'fault',
          no: 0,
          class: 'old_aof',
          name: 'x',
          detail: '',
          from: 84,
          to: 200,
          promise: 'unsaved' as const,
        },
        { lost_from: 120, lost_until: 120 },
        change,
      ) as Line,
    );
    return broken;
  };

  test('an order that the ledger did not have yet, acknowledged before Redis lost it', () => {
    expect(rulesBroken(lost({}))).toEqual([]);
  });

  test('not an order acknowledged afterwards', () => {
    expect(rulesBroken(lost({ lost_from: 50, lost_until: 60 }))).toEqual(['acknowledged_is_there']);
  });

  test('not after a fault that costs nothing', () => {
    expect(rulesBroken(lost({ promise: 'all' }))).toEqual(['acknowledged_is_there']);
  });

  test('not an order behind which another one was found in the ledger before', () => {
    const broken = lost({});
    broken.lines.push({ t: 'saved', at: 110, sale: 's', sent: 86, order_id: 'o-1' });
    expect(rulesBroken(broken)).toEqual(['acknowledged_is_there']);
  });

  test('and its key is new then: another request may have it', () => {
    const broken = lost({});
    const items = [{ sku: 'a', qty: 2 }];
    broken.lines.push(buy(3, { kind: 'altered', sent: 130, done: 135, items, text: answer('o-3', 2) }));
    const retaken = {
      total: 2 * PRICE,
      subtotal: 2 * PRICE,
      items: [{ sku: 'a', qty: 2, unit_price: PRICE }],
    };
    broken.ledger.orders.push(order(3, 'expired', retaken));
    broken.ledger.movements.push(moved(3, 2, 2));
    // This one is not about limits, units and a sale that was closed.
    broken.lines = broken.lines.filter((line) => line.t !== 'operate' || line.verb !== 'close');
    broken.ledger.events = broken.ledger.events.filter(({ order_id }) => order_id !== 'o-3');
    expect(rulesBroken(broken)).toEqual([]);
    broken.lines = broken.lines.filter(({ t }) => t !== 'fault');
    expect(rulesBroken(broken)).toContain('acknowledged_is_there');
  });

  test('what was found only after the loss says nothing about what came before', () => {
    const broken = lost({});
    broken.lines.push({ t: 'saved', at: 130, sale: 's', sent: 86, order_id: 'o-1' });
    expect(rulesBroken(broken)).toEqual([]);
  });
});

test('the checker uses nothing but Node and the Postgres client', () => {
  const folder = dirname(fileURLToPath(import.meta.url));
  const files = readdirSync(folder).filter((name) => !name.endsWith('.test.ts'));
  const imported = files.flatMap((name) =>
    [...readFileSync(join(folder, name), 'utf8').matchAll(/ from '([^']+)'/g)].map((match) => match[1] ?? ''),
  );
  expect(imported.filter((name) => !/^(\.\/[\w-]+\.ts|node:\w+|pg)$/.test(name))).toEqual([]);
});
