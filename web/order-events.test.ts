import { expect, it } from 'vitest';
import type { Order, OrderEvent } from './api-types.ts';
import { eventLines } from './order-events.ts';

const at = '2030-01-01T12:00:00.000Z';

function linesOf(...history: Omit<OrderEvent, 'at'>[]): string[] {
  const order: Order = {
    order_id: 'o',
    sale_id: 's',
    state: 'shipped',
    items: [],
    amounts: { currency: 'EUR', total: 4_500 },
    shipment: { carrier: 'DHL' },
    history: history.map((event) => ({ at, ...event })),
  };
  return eventLines(order).map(({ text }) => text);
}

it('tells states and money apart, with amounts', () => {
  const stays = { from: 'confirmed', to: 'confirmed' } as const;
  const money = (amount: number) => ({ amount, currency: 'EUR' });
  expect(
    linesOf(
      { from: null, to: 'reserved' },
      { from: 'reserved', to: 'authorized' },
      { from: 'authorized', to: 'confirmed' },
      { ...stays, cause: 'payment_captured', detail: money(4_500) },
      { ...stays, cause: 'partially_refunded', detail: money(500) },
      { ...stays, cause: 'shipment_recorded', detail: null },
      { from: 'confirmed', to: 'shipped' },
      { from: 'shipped', to: 'refunded' },
      { from: 'refunded', to: 'refunded', cause: 'payment_refunded', detail: money(4_000) },
    ),
  ).toEqual([
    'Reserved',
    'Payment approved',
    'Confirmed',
    'Charged €45.00',
    'Refunded €5.00 of it',
    'Handed to DHL',
    'Shipped',
    'Refund decided',
    'Refunded €40.00',
  ]);
});

it('tells a decline by its reason, and a released authorization', () => {
  const stays = { from: 'reserved', to: 'reserved' } as const;
  expect(
    linesOf(
      { ...stays, cause: 'payment_declined', detail: { code: 'expired_card' } },
      { ...stays, cause: 'payment_voided', detail: null },
    ),
  ).toEqual(['This card has expired', 'Payment released, nothing charged']);
});

it('shows what it does not know by the name that the engine gives it', () => {
  expect(linesOf({ from: 'confirmed', to: 'confirmed', cause: 'dispute_opened' })).toEqual([
    'Dispute opened',
  ]);
});
