/** Which events make which notices, for whom. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withTransaction } from '../../platform/postgres.ts';
import { NOTICE_TABLE } from './notice-table.ts';
import { type NoticeRig, startNoticeRig } from './testing/rig.ts';

let rig: NoticeRig;
beforeEach(async () => {
  rig = await startNoticeRig();
});
afterEach(() => rig.close());

const MAIL = { SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: 'orders@shop.example' };
const SMS = { TWILIO_ACCOUNT_SID: 'AC1', TWILIO_AUTH_TOKEN: 't', TWILIO_FROM: '+15017122661' };
const BOTH = { email: 'zoe@example.com', phone: '+447700900123' };
const made = async () =>
  (await rig.notices()).map(({ notice, channel, recipient }) => `${notice} ${channel} ${recipient}`);

it('a buyer with an address and a number is told on both what is worth both', async () => {
  const order_id = await rig.order(BOTH);
  await rig.tell({ ...MAIL, ...SMS }, [
    rig.event(order_id, 'order.reserved'),
    rig.event(order_id, 'order.authorized'),
    rig.event(order_id, 'order.confirmed'),
    rig.event(order_id, 'payment.captured', { to_state: 'confirmed' }),
    rig.event(order_id, 'shipment.recorded', { to_state: 'confirmed' }),
    rig.event(order_id, 'order.shipped'),
    rig.event(order_id, 'order.delivered'),
    rig.event(order_id, 'order.refunded'),
    rig.event(order_id, 'payment.refunded', {
      to_state: 'refunded',
      detail: { amount: 1_000, currency: 'USD' },
    }),
  ]);
  expect(await made()).toEqual([
    'confirmed email zoe@example.com',
    'confirmed sms +447700900123',
    'shipped email zoe@example.com',
    'shipped sms +447700900123',
    'refunded email zoe@example.com',
    'refunded sms +447700900123',
  ]);
});

it.each(Object.entries(NOTICE_TABLE))('%s is told', async (type, { notice, only_in }) => {
  const order_id = await rig.order({ email: 'zoe@example.com' });
  const change = only_in ? { to_state: only_in[0] } : {};
  await rig.tell({ ...MAIL, NOTICES_OFF: 'none' }, [rig.event(order_id, type, change)]);
  expect(await made()).toEqual([`${notice} email zoe@example.com`]);
});

it('a payment that is released while the order may still be paid is not told', async () => {
  const order_id = await rig.order({ email: 'zoe@example.com' });
  await rig.tell(MAIL, [rig.event(order_id, 'payment.voided', { to_state: 'reserved' })]);
  expect(await made()).toEqual([]);
});

describe('nobody is told', () => {
  it('of an order without a contact, or on a channel that is not there', async () => {
    const silent = await rig.order(null);
    const phone = await rig.order({ phone: '+447700900123' });
    await rig.tell(MAIL, [rig.event(silent, 'order.confirmed'), rig.event(phone, 'order.confirmed')]);
    expect(await made()).toEqual([]);
  });

  it('what the operator has turned off', async () => {
    const order_id = await rig.order(BOTH);
    await rig.tell({ ...MAIL, NOTICES_OFF: 'confirmed,expired' }, [
      rig.event(order_id, 'order.confirmed'),
      rig.event(order_id, 'order.shipped'),
    ]);
    expect(await made()).toEqual(['shipped email zoe@example.com']);
    await expect(rig.tell({ ...MAIL, NOTICES_OFF: 'confirmd' }, [])).rejects.toThrow(
      'NOTICES_OFF: there is no notice confirmd',
    );
  });

  it('what is long past, and whoever has no address that is one: those rows say why', async () => {
    const order_id = await rig.order({ email: 'a@example.com, b@example.com' });
    const old = await rig.order({ email: 'zoe@example.com' });
    const injected = await rig.order({ email: 'eve@example.com\r\nRCPT TO:<victim@example.com>' });
    await rig.tell(MAIL, [
      rig.event(order_id, 'order.confirmed'),
      rig.event(old, 'order.confirmed', { at: new Date(Date.now() - 73 * 3_600_000) }),
      rig.event(injected, 'order.confirmed'),
    ]);
    expect((await rig.notices()).map(({ state, last_error }) => [state, last_error])).toEqual([
      ['skipped', 'not an address'],
      ['skipped', 'too late'],
      ['skipped', 'not an address'],
    ]);
  });
});

it('invoices are numbered without gaps, in the order of confirmations, whoever has a contact', async () => {
  const orders = await Promise.all([1, 2, 3, 4].map(() => rig.order(null)));
  const confirm = (order_id: string) => rig.event(order_id, 'order.confirmed');
  const numbers = async () => {
    const { rows } = await rig.db.query('SELECT order_id FROM invoices ORDER BY no');
    return rows.map(({ order_id }) => order_id);
  };
  const events = orders.map(confirm);
  await rig.tell(MAIL, events.slice(0, 2));
  // A batch that fails gives its numbers back.
  await expect(
    withTransaction(rig.db, async (tx) => {
      await rig.send(MAIL).notify.sink.take(tx, events.slice(2));
      throw new Error('the cursor could not be moved');
    }),
  ).rejects.toThrow('the cursor');
  await rig.tell(MAIL, [...events.slice(1, 2), ...events.slice(2)]);
  expect(await numbers()).toEqual(orders);
  const { rows } = await rig.db.query('SELECT min(no) AS first, max(no) AS last FROM invoices');
  expect(rows).toEqual([{ first: 1, last: 4 }]);
});
