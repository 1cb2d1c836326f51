/** Texts through a server with Twilio's shapes, and what it may answer. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type NoticeRig, startNoticeRig } from '../testing/rig.ts';
import { ACCOUNT, startTestTwilio, type TestTwilio, TOKEN } from '../testing/twilio.ts';

let rig: NoticeRig;
let twilio: TestTwilio;
let env: Record<string, string>;
beforeEach(async () => {
  rig = await startNoticeRig();
  twilio = await startTestTwilio();
  env = {
    ...{ TWILIO_ACCOUNT_SID: ACCOUNT, TWILIO_AUTH_TOKEN: TOKEN, TWILIO_API_URL: twilio.url },
    ...{ TWILIO_FROM: '+15017122661', SHOP_NAME: 'Night Market' },
  };
});
afterEach(async () => {
  await rig.close();
  await twilio.stop();
});

const states = async () => (await rig.notices()).map(({ state }) => state);
const until = (...wanted: string[]) => expect.poll(states, { timeout: 20_000 }).toEqual(wanted);
const text = async (phone = '+447700900123', type = 'order.confirmed') => {
  const order_id = await rig.order({ phone });
  await rig.tell(env, [rig.event(order_id, type)]);
  return order_id;
};
const posts = () => twilio.calls.filter(({ method }) => method === 'POST');

it('an SMS goes out form-encoded, under the account, and its name there is kept', async () => {
  const order_id = await text();
  const sending = rig.send(env);
  await until('sent');
  const [call] = twilio.calls;
  expect(call).toMatchObject({
    method: 'POST',
    path: `/2010-04-01/Accounts/${ACCOUNT}/Messages.json`,
    authorization: `Basic ${Buffer.from(`${ACCOUNT}:${TOKEN}`).toString('base64')}`,
    type: 'application/x-www-form-urlencoded;charset=UTF-8',
    form: {
      To: '+447700900123',
      From: '+15017122661',
      Body: `Night Market: your order is confirmed, $10.00. Details: http://shop.example/?order=${order_id}`,
    },
  });
  expect(await rig.notices()).toMatchObject([{ channel: 'sms', message_id: twilio.messages[0]?.sid }]);
  expect(sending.logged()).not.toContain(TOKEN);
});

it('WhatsApp goes before SMS where both are set, and its numbers say so', async () => {
  env.TWILIO_WHATSAPP_FROM = '+14155238886';
  await text();
  rig.send(env);
  await until('sent');
  expect(posts().map(({ form }) => [form.To, form.From])).toEqual([
    ['whatsapp:+447700900123', 'whatsapp:+14155238886'],
  ]);
});

it.each([
  ['20429 too many requests', { status: 429, code: 20429 }],
  ['20500 internal error', { status: 500, code: 20500 }],
  ['a gateway without words', { status: 503 }],
])('%s: tried again, once it is known that it did not go out', async (_what, fault) => {
  await text();
  twilio.fault = ({ method }) => (method === 'POST' && posts().length < 2 ? fault : undefined);
  rig.send(env);
  await until('sent');
  expect(twilio.messages).toHaveLength(1);
  expect(twilio.calls.map(({ method }) => method)).toEqual(['POST', 'GET', 'POST']);
});

it('20003, a token that is wrong: waits for the operator, and fails nothing', async () => {
  await text();
  let wrong = true;
  twilio.fault = () => (wrong ? { status: 401, code: 20003, message: 'Authenticate' } : undefined);
  const sending = rig.send(env);
  await expect.poll(() => sending.logged()).toContain('no notice can be sent at the moment');
  wrong = false;
  await until('sent');
});

it('21211, no such number: failed, and the number is not in the words kept', async () => {
  await text();
  twilio.fault = () => ({
    status: 400,
    code: 21211,
    message: "The 'To' number +447700900123 is not a valid phone number.",
  });
  const sending = rig.send(env);
  await until('failed');
  expect((await rig.notices())[0]?.last_error).toBe(
    "400 21211: The 'To' number (number) is not a valid phone number.",
  );
  expect(sending.logged()).not.toContain('7700900123');
});

it('21610, they have said STOP: skipped', async () => {
  await text();
  twilio.fault = () => ({ status: 400, code: 21610, message: 'Attempt to send to unsubscribed recipient' });
  rig.send(env);
  await until('skipped');
});

it('no answer although it went out: the list of messages is asked, and it goes out no second time', async () => {
  await text();
  twilio.fault = ({ method }) => (method === 'POST' && posts().length < 2 ? { cut: 'after' } : undefined);
  rig.send(env);
  await until('sent');
  expect(twilio.messages).toHaveLength(1);
  expect(twilio.calls.map(({ method }) => method)).toEqual(['POST', 'GET']);
  expect(await rig.notices()).toMatchObject([{ message_id: twilio.messages[0]?.sid, tries: 2 }]);
});

it('a number that is none is skipped at once; what is not texted has no text', async () => {
  await text('0770 900123');
  await text('+447700900123', 'order.expired');
  expect(await rig.notices()).toMatchObject([{ state: 'skipped', last_error: 'not an address' }]);
});
