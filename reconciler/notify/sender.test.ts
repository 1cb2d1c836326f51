/** Once for each event and recipient, whoever sends and whoever dies. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type NoticeRig, QUICK, startNoticeRig } from './testing/rig.ts';
import { startTestSmtp, type TestSmtp } from './testing/smtp.ts';

let rig: NoticeRig;
let smtp: TestSmtp;
let env: Record<string, string>;
beforeEach(async () => {
  rig = await startNoticeRig();
  smtp = await startTestSmtp();
  env = { SMTP_URL: smtp.url, MAIL_FROM: 'orders@shop.example', MAIL_RATE: '10000', SMTP_CONNECTIONS: '4' };
});
afterEach(async () => {
  await rig.close();
  await smtp.stop();
});

const byState = async () => {
  const counts: Record<string, number> = {};
  for (const { state } of await rig.notices()) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
};
const until = (counts: Record<string, number>) =>
  expect.poll(byState, { timeout: 25_000, interval: 50 }).toEqual(counts);
const told = (type: string) =>
  smtp.mails.filter(({ mail }) => mail.subject?.startsWith(type)).map(({ to }) => to[0]);

/** So many orders, each with an address of its own, whose payment failed: mails without a PDF. */
async function failed(count: number): Promise<void> {
  const events = [];
  for (let i = 0; i < count; i++) {
    const order_id = await rig.order({ email: `buyer-${i}@example.com` });
    events.push(rig.event(order_id, 'order.payment_failed'));
  }
  await rig.tell(env, events);
}

async function child(timings = {}) {
  const settings = { database_url: rig.url, env, timings: { ...QUICK, ...timings } };
  const worker = fileURLToPath(new URL('./testing/worker.ts', import.meta.url));
  const forked = fork(worker, [JSON.stringify(settings)], { execArgv: ['--import', 'tsx'] });
  await once(forked, 'message');
  return {
    async kill() {
      forked.kill('SIGKILL');
      await once(forked, 'exit');
    },
  };
}

it('two senders at once mail each notice once', async () => {
  await failed(60);
  const senders = [rig.send(env), rig.send(env)];
  await until({ sent: 60 });
  expect(smtp.mails).toHaveLength(60);
  expect(new Set(smtp.mails.map(({ to }) => to[0])).size).toBe(60);
  for (const sender of senders) expect(sender.logged()).not.toContain('somebody else');
});

it('the same events taken twice make no second notice', async () => {
  const order_id = await rig.order({ email: 'zoe@example.com' });
  const events = [rig.event(order_id, 'order.confirmed')];
  await rig.tell(env, events);
  await rig.tell(env, events);
  expect(await rig.notices()).toHaveLength(1);
});

it('killed between the server’s yes and its own note, it sends again, under the same Message-ID', async () => {
  await failed(1);
  // The server has the mail, and its yes never comes.
  smtp.fault = (_to, no) => (no === 1 ? { at: 'YES', after: new Promise(() => {}) } : undefined);
  const first = await child({ lease_ms: 1_000 });
  await expect.poll(() => smtp.mails.length, { timeout: 20_000 }).toBe(1);
  // It was marked before the server was spoken to: whoever comes later knows that it may have gone out.
  expect(await byState()).toEqual({ sending: 1 });
  await first.kill();
  const second = rig.send(env, { lease_ms: 1_000 });
  await until({ sent: 1 });
  expect(smtp.mails).toHaveLength(2);
  expect(smtp.mails[1]?.mail.messageId).toBe(smtp.mails[0]?.mail.messageId);
  expect(second.logged()).toContain('it is sent again');
  const counted = await second.registry.getSingleMetricAsString('stampede_notices_total');
  expect(counted).toContain('channel="email",outcome="again"} 1');
});

it('killed with -9 again and again, every notice arrives, and hardly one twice', async () => {
  const count = 80;
  await failed(count);
  const KILLS = 4;
  for (let kill = 1; kill <= KILLS; kill++) {
    const sender = await child({ lease_ms: 1_000 });
    const enough = Math.min(count, (count / (KILLS + 1)) * kill);
    await expect
      .poll(() => smtp.mails.length, { timeout: 20_000, interval: 5 })
      .toBeGreaterThanOrEqual(enough);
    await sender.kill();
  }
  rig.send(env, { lease_ms: 1_000 });
  await until({ sent: count });
  const ids = new Map<string, Set<string>>();
  for (const { to, mail } of smtp.mails) {
    const [recipient = ''] = to;
    ids.set(recipient, (ids.get(recipient) ?? new Set()).add(mail.messageId ?? ''));
  }
  expect(ids.size).toBe(count);
  // Whoever got a mail twice can see that it is the same one.
  expect([...ids.values()].every((set) => set.size === 1)).toBe(true);
  // Twice goes only what was under way at a kill: at most one on each connection.
  expect(smtp.mails.length - count).toBeLessThanOrEqual(KILLS * 4);
});

it('a sender that stood still past its lease does not touch what somebody else has by now', async () => {
  await failed(1);
  let answer = () => {};
  const slow = new Promise<void>((resolve) => {
    answer = resolve;
  });
  smtp.fault = (_to, no) => (no === 1 ? { at: 'YES', after: slow } : undefined);
  const first = rig.send(env, { lease_ms: 100 });
  await expect.poll(() => smtp.mails.length).toBe(1);
  rig.send(env, { lease_ms: 60_000 });
  await until({ sent: 1 });
  const [sent] = await rig.notices();
  answer();
  await expect.poll(() => first.logged()).toContain('somebody else has claimed since');
  expect(await rig.notices()).toEqual([sent]);
});

it('an order’s notices go out in the order of its events, others do not wait', async () => {
  const slow = await rig.order({ email: 'grey@example.com' });
  const other = await rig.order({ email: 'zoe@example.com' });
  await rig.tell(env, [
    rig.event(slow, 'order.confirmed'),
    rig.event(slow, 'order.shipped'),
    rig.event(other, 'order.confirmed'),
    rig.event(other, 'order.shipped'),
  ]);
  let grey = true;
  smtp.fault = (to) =>
    grey && to.startsWith('grey') ? { at: 'RCPT', status: 451, text: 'later' } : undefined;
  rig.send(env);
  await until({ sent: 2, wanted: 2 });
  expect(told('Your order is on its way')).toEqual(['zoe@example.com']);
  grey = false;
  await until({ sent: 4 });
  const subjects = smtp.mails
    .filter(({ to }) => to[0] === 'grey@example.com')
    .map(({ mail }) => mail.subject);
  expect(subjects).toEqual(['Your order is confirmed: A', 'Your order is on its way: A']);
});

it('after its patience a notice has failed, and the operator’s retry gives it all of it anew', async () => {
  await failed(1);
  smtp.fault = () => ({ at: 'RCPT', status: 450, text: 'not today' });
  const impatient = rig.send(env, { patience_ms: 0 });
  await until({ failed: 1 });
  expect((await rig.notices())[0]?.last_error).toMatch(/^given up: .*not today/);
  await impatient.stop();
  smtp.fault = () => undefined;
  const { retryNotices } = await import('../../ledger/notices/list-notices.ts');
  expect(await retryNotices(rig.db, {})).toHaveLength(1);
  rig.send(env);
  await until({ sent: 1 });
});

it('says how many wait, and since when', async () => {
  await failed(2);
  await rig.db.query(
    `UPDATE notices SET wanted_at = now() - interval '90 s', next_try_at = now() + interval '1 h'`,
  );
  const { registry } = rig.send(env);
  const gauge = (name: string) => registry.getSingleMetricAsString(name);
  await expect.poll(() => gauge('stampede_notices_waiting')).toContain('{channel="email"} 2');
  expect(await gauge('stampede_notice_oldest_waiting_seconds')).toMatch(/\{channel="email"\} 9\d/);
});

it('one that its server wants later waits, and makes nobody believe in an outage', async () => {
  await failed(1);
  await rig.db.query(`UPDATE notices SET wanted_at = now() - interval '90 s'`);
  smtp.fault = (to) => (to ? { at: 'RCPT', status: 452, text: 'mailbox full' } : undefined);
  rig.send(env, { retry_ms: 3_600_000 });
  await expect.poll(async () => (await rig.notices())[0]?.last_error).toContain('mailbox full');
  const { noticesWaiting } = await import('../../ledger/notices/notice-counts.ts');
  expect(await noticesWaiting(rig.db)).toEqual([{ channel: 'email', waiting: 1, oldest_seconds: 0 }]);
});

it('neither addresses nor names nor passwords stand in the log', async () => {
  const order_id = await rig.order({ email: 'canary@example.com' });
  await rig.tell(env, [rig.event(order_id, 'order.confirmed')]);
  // This server knows nobody.
  const stranger = rig.send({ ...env, SMTP_URL: smtp.url.replace('//', '//canary-user:canary-password@') });
  await expect.poll(() => stranger.logged()).toContain('no notice can be sent at the moment');
  await stranger.stop();
  smtp.fault = (to, no) =>
    to && no === 1
      ? { at: 'RCPT', status: 550, text: `5.1.1 <${to}> +44 7700 900123 is unknown to us` }
      : undefined;
  const sending = rig.send(env);
  await until({ failed: 1 });
  expect(sending.logged()).toContain('a notice has failed');
  expect(stranger.logged() + sending.logged()).not.toMatch(/canary|St James|7700/);
});
