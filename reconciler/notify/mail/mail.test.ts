/** Mails through a real SMTP server, and what servers do to them. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type NoticeRig, startNoticeRig } from '../testing/rig.ts';
import { startTestSmtp, type TestSmtp } from '../testing/smtp.ts';
import { TLS } from '../testing/tls.ts';

let rig: NoticeRig;
let smtp: TestSmtp;
let env: Record<string, string>;
beforeEach(async () => {
  rig = await startNoticeRig();
  smtp = await startTestSmtp();
  env = { SMTP_URL: smtp.url, MAIL_FROM: 'orders@shop.example', SHOP_NAME: 'Night Market' };
});
afterEach(async () => {
  await rig.close();
  await smtp.stop();
});

const states = async () => (await rig.notices()).map(({ state }) => state);
const until = (...wanted: string[]) => expect.poll(states, { timeout: 20_000 }).toEqual(wanted);
const confirm = async (email: string) => {
  const order_id = await rig.order({ email });
  await rig.tell(env, [rig.event(order_id, 'order.confirmed')]);
  return order_id;
};

it('a confirmed order arrives as text and HTML, with its invoice', async () => {
  const order_id = await confirm('zoe@example.com');
  rig.send({ ...env, MAIL_REPLY_TO: 'help@shop.example', INVOICE_SELLER: 'Night Market Ltd|Bristol' });
  await until('sent');

  const [{ from, to, mail, raw } = smtp.mails[0]!] = smtp.mails;
  expect([from, to]).toEqual(['orders@shop.example', ['zoe@example.com']]);
  expect(mail.from).toEqual({ name: 'Night Market', address: 'orders@shop.example' });
  expect(mail.to?.[0]?.address).toBe('zoe@example.com');
  expect(mail.replyTo?.[0]?.address).toBe('help@shop.example');
  expect(mail.subject).toBe('Your order is confirmed: A');
  expect(mail.text).toContain('1 x A  $10.00');
  expect(mail.text).toContain('Zoë Müller');
  expect(mail.html).toContain('Your order is confirmed</h1>');
  expect(mail.html).toContain(`http://shop.example/?order=${order_id}`);
  const [invoice] = mail.attachments;
  expect(invoice?.filename).toBe('INV-000001.pdf');
  expect(invoice?.mimeType).toBe('application/pdf');
  expect(
    Buffer.from(invoice?.content as ArrayBuffer)
      .subarray(0, 5)
      .toString(),
  ).toBe('%PDF-');
  const header = (key: string) => mail.headers.find((entry) => entry.key === key)?.value;
  expect(header('auto-submitted')).toBe('auto-generated');
  expect(raw).toContain('charset=utf-8');
  const [notice] = await rig.notices();
  expect(mail.messageId).toBe(notice?.message_id);
  expect(mail.messageId).toMatch(/^<[0-9a-f-]{36}@shop\.example>$/);
});

describe('what a server may do', () => {
  it('greylisting (451) is tried again, under the same Message-ID', async () => {
    await confirm('zoe@example.com');
    smtp.fault = (to, no) =>
      to && no < 3 ? { at: 'RCPT', status: 451, text: '4.7.1 greylisted, come back' } : undefined;
    const sending = rig.send(env);
    await until('sent');
    expect(smtp.tries.get('zoe@example.com')).toBe(3);
    expect(smtp.mails).toHaveLength(1);
    expect(await rig.notices()).toMatchObject([{ tries: 3, message_id: smtp.mails[0]?.mail.messageId }]);
    expect(await sending.registry.getSingleMetricAsString('stampede_notices_total')).toContain(
      'outcome="retried"} 2',
    );
  });

  it('a recipient that does not exist (550) has failed, and the words kept name nobody', async () => {
    await confirm('nobody@example.com');
    smtp.fault = (to) =>
      to ? { at: 'RCPT', status: 550, text: '5.1.1 <nobody@example.com>: no such user' } : undefined;
    const sending = rig.send(env);
    await until('failed');
    expect(smtp.tries.get('nobody@example.com')).toBe(1);
    const [notice] = await rig.notices();
    expect(notice?.last_error).toContain('5.1.1 <(address)>: no such user');
    expect(sending.logged()).toContain('a notice has failed');
    expect(sending.logged()).not.toContain('nobody@');
  });

  it('content that is refused for good (554) has failed', async () => {
    await confirm('zoe@example.com');
    smtp.fault = (to) => (to ? { at: 'DATA', status: 554, text: '5.7.1 spam' } : undefined);
    rig.send(env);
    await until('failed');
  });

  it('a sender or a login that is refused is for the operator to put right: nothing is lost by it', async () => {
    await confirm('zoe@example.com');
    let refuses = true;
    smtp.fault = () => (refuses ? { at: 'MAIL', status: 553, text: '5.7.1 not your address' } : undefined);
    const sending = rig.send(env);
    await expect.poll(() => sending.logged()).toContain('no notice can be sent at the moment');
    expect(await states()).not.toContain('failed');
    refuses = false;
    await until('sent');
  });

  it('a connection that is cut in the midst of the content: the mail goes once, whole', async () => {
    await confirm('zoe@example.com');
    smtp.fault = (_to, no) => (no === 1 ? { at: 'DATA', cut: true } : undefined);
    rig.send(env);
    await until('sent');
    expect(smtp.mails).toHaveLength(1);
    expect(smtp.tries.get('zoe@example.com')).toBe(2);
  });

  it('a connection that is cut before the yes: it may arrive twice, and both have one Message-ID', async () => {
    await confirm('zoe@example.com');
    smtp.fault = (_to, no) => (no === 1 ? { at: 'YES', cut: true } : undefined);
    rig.send(env);
    await until('sent');
    const ids = smtp.mails.map(({ mail }) => mail.messageId);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
  });

  it('a slow server holds up nobody on the other connections', async () => {
    let answer = () => {};
    const slow = new Promise<void>((resolve) => {
      answer = resolve;
    });
    await confirm('slow@example.com');
    for (const name of ['a', 'b', 'c']) await confirm(`${name}@example.com`);
    smtp.fault = (to) => (to.startsWith('slow') ? { at: 'YES', after: slow } : undefined);
    rig.send({ ...env, SMTP_CONNECTIONS: '2' });
    await until('sending', 'sent', 'sent', 'sent');
    answer();
    await until('sent', 'sent', 'sent', 'sent');
  });

  it('a server that is away: everything waits, and goes when it is back', async () => {
    const port = Number(new URL(smtp.url).port);
    await smtp.stop();
    await confirm('a@example.com');
    await confirm('b@example.com');
    const sending = rig.send(env);
    await expect.poll(() => sending.logged()).toContain('no notice can be sent at the moment');
    smtp = await startTestSmtp({ port });
    await until('sent', 'sent');
  });

  it('login over TLS, with the credentials of the URL', async () => {
    const { key, cert } = TLS;
    const secure = await startTestSmtp({
      ...{ secure: true, key, cert, authOptional: false, scheme: 'smtps', login: 'shop:pa%20ss' },
      onAuth({ username, password }, _session, done) {
        const known = username === 'shop' && password === 'pa ss';
        done(known ? null : new Error('who are you'), { user: username });
      },
    });
    await confirm('zoe@example.com');
    // The test's certificate is its own; a real one is checked.
    rig.send({ ...env, SMTP_URL: `${secure.url}/?tls.rejectUnauthorized=false` });
    await until('sent');
    expect(secure.mails).toHaveLength(1);
    await secure.stop();
  });

  it('a server elsewhere that offers no TLS gets nothing, unless its URL says that it may', async () => {
    // Not the loopback as everybody writes it: as good as elsewhere.
    const open = await startTestSmtp({ host: '127.0.0.2' });
    await confirm('zoe@example.com');
    const sending = rig.send({ ...env, SMTP_URL: open.url });
    await expect.poll(() => sending.logged()).toContain('no notice can be sent at the moment');
    expect(open.tries.size).toBe(0);
    await sending.stop();
    rig.send({ ...env, SMTP_URL: `${open.url}/?requireTLS=false` });
    await until('sent');
    await open.stop();
  });

  it('a certificate that nobody vouches for is not trusted', async () => {
    const { key, cert } = TLS;
    const secure = await startTestSmtp({ secure: true, key, cert, scheme: 'smtps' });
    await confirm('zoe@example.com');
    const sending = rig.send({ ...env, SMTP_URL: secure.url });
    await expect.poll(() => sending.logged()).toMatch(/self-signed|certificate/);
    expect(secure.mails).toHaveLength(0);
    await secure.stop();
  });
});
