import { describe, expect, it } from 'vitest';
import type { Order, Payment } from './api-types.ts';
import { isPayingBack, outlookOf, safeLink } from './order-outlook.ts';

const AT = '2030-01-01T12:00:00.000Z';
const later = (seconds: number) => new Date(Date.parse(AT) + seconds * 1000).toISOString();

function order(more: Partial<Order> = {}): Order {
  return {
    order_id: 'o',
    sale_id: 's',
    state: 'reserved',
    items: [{ sku: 'lamp', qty: 1, unit_price: 4_500 }],
    amounts: { currency: 'USD', total: 4_500 },
    reservation: { expires_at: later(600) },
    payments: [],
    history: [{ at: AT, from: null, to: 'reserved' }],
    as_of: later(1),
    source: 'ledger',
    ...more,
  };
}
const paid = (payment: Partial<Payment>, more: Partial<Order> = {}) =>
  order({ payments: [{ state: 'pending', type: 'card', amount: 4_500, refunded: 0, ...payment }], ...more });
const redirect = { type: 'redirect' as const, url: 'https://bank.example/3ds' };

describe('an order whose payment waits for the buyer', () => {
  it('leads to the bank, the wallet or the app', () => {
    expect(outlookOf(paid({ next_action: redirect }))).toMatchObject({
      title: 'Your bank asks you',
      move: { kind: 'open', url: redirect.url, scan: false },
      cancelable: true,
      settled: false,
    });
    expect(outlookOf(paid({ type: 'wallet', next_action: redirect }))).toMatchObject({
      title: 'Your wallet asks you',
      move: { label: 'Go to your wallet' },
    });
    const upi = { type: 'upi' as const, url: 'upi://pay?pa=shop@bank' };
    expect(outlookOf(paid({ type: 'upi', next_action: upi }))).toMatchObject({
      title: 'Approve it in your UPI app',
      move: { url: upi.url, scan: true },
    });
  });

  it('follows no link but one to a page, or to a UPI app', () => {
    for (const url of ['javascript:alert(1)', 'data:text/html,x', 'upi://pay', 'nothing']) {
      expect(outlookOf(paid({ next_action: { type: 'redirect', url } })).move).toBeUndefined();
    }
    expect(safeLink('https://carrier.example/1')).toBe('https://carrier.example/1');
    expect(safeLink('javascript:alert(1)')).toBeUndefined();
    expect(safeLink(null)).toBeUndefined();
  });

  it('leads nowhere any more once its money has to go back, or its time is over', () => {
    expect(outlookOf(paid({ next_action: redirect, reversal_wanted: true })).move).toBeUndefined();
    const over = outlookOf(paid({ next_action: redirect }, { as_of: later(601) }));
    expect(over).toMatchObject({ title: 'The hold has run out', move: undefined, settled: false });
    expect(over.held_until).toBeUndefined();
  });
});

describe('an order that takes long', () => {
  it('says so, whether the provider is silent, the books are behind or nothing has begun', () => {
    const text = (more: Order) => outlookOf(more).text;
    expect(outlookOf(paid({ state: 'unknown' })).title).toBe('This takes longer than usual');
    expect(text(paid({ state: 'unknown' }))).toContain('provider has not given an answer');
    expect(text(order({ as_of: later(20), source: 'reservation' }))).toContain('our books are behind');
    // By the reservation alone nothing has run out.
    expect(text(order({ as_of: later(700), source: 'reservation' }))).toContain('not taken from your hold');
    expect(text(order({ as_of: later(20) }))).toContain('has not begun');
    expect(text(paid({}, { as_of: later(20) }))).toContain('never charged twice');
  });

  it('does not say so within the first seconds', () => {
    expect(outlookOf(order()).title).toBe('Held for you');
    expect(outlookOf(paid({})).title).toBe('Held for you');
  });
});

describe('an order that came to nothing', () => {
  const declined = (decline_code: string) =>
    outlookOf(paid({ state: 'declined', decline_code }, { state: 'payment_failed' }));

  it('says why the payment was declined and what helps, and offers the same again', () => {
    expect(declined('insufficient_funds')).toMatchObject({
      title: 'Payment declined',
      move: { kind: 'buy_again' },
      settled: true,
    });
    expect(declined('insufficient_funds').text).toMatch(
      /not enough money on it.*Nothing was charged.*another card/,
    );
    expect(declined('expired_card').text).toContain('has expired');
    expect(declined('expired').title).toBe('Not approved in time');
    expect(declined('authentication_failed').text).toContain('confirm it with your bank');
  });

  it('keeps to itself what only the owner of a card should know', () => {
    for (const code of ['lost_or_stolen', 'stolen_card', 'suspected_fraud', 'pickup_card']) {
      expect(declined(code).text).not.toMatch(/lost|stolen|fraud|pick/i);
    }
  });

  it('has a decent sentence for a code that nobody knows', () => {
    expect(declined('x_9').text).toMatch(/^The payment was declined\. Nothing was charged\./);
  });

  it('tells where the money is', () => {
    const text = (payment: Partial<Payment>, more: Partial<Order> = {}) =>
      outlookOf(paid(payment, { state: 'canceled', ...more })).text;
    const wanted = { reversal_wanted: true };
    expect(text({ state: 'captured', ...wanted })).toContain('$45.00 is on its way back');
    expect(text({ state: 'captured', refunded: 1_000, ...wanted })).toContain('$35.00 is on its way back');
    expect(text({ state: 'authorized', ...wanted })).toContain('is being released');
    expect(text({ state: 'unknown', ...wanted })).toContain('If a payment still arrives');
    expect(text({ state: 'voided', ...wanted })).toContain('set aside is released');
    expect(text({ state: 'refunded', ...wanted }, { refunded: 4_500 })).toContain('$45.00 was given back');
    expect(outlookOf(order({ state: 'canceled' })).text).toContain('Nothing was charged.');
  });

  it('is watched until its money is where it belongs', () => {
    const back = paid({ state: 'captured', reversal_wanted: true }, { state: 'refunded' });
    expect(isPayingBack(back)).toBe(true);
    expect(outlookOf(back).settled).toBe(false);
    expect(outlookOf(paid({ state: 'refunded', reversal_wanted: true }, { state: 'refunded' })).settled).toBe(
      true,
    );
  });
});

describe('an order that is good', () => {
  it('says where the confirmation goes, and what was given back of it', () => {
    const confirmed = paid(
      { state: 'captured' },
      { state: 'confirmed', contact: { email: 'ada@example.com' } },
    );
    expect(outlookOf(confirmed).text).toContain('goes to ada@example.com');
    expect(outlookOf({ ...confirmed, state: 'shipped', refunded: 500 }).text).toContain(
      '$5.00 of $45.00 was given back',
    );
  });
});
