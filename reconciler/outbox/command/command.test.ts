/** The operator's command, as a process. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changeEndpoint } from '../../../ledger/outbox/endpoints.ts';
import { startReceiver } from '../../../platform/outgoing/testing/receiver.ts';
import { eventually, type WebhookRig, webhookRig } from '../testing/webhook-rig.ts';

let rig: WebhookRig;
beforeAll(async () => {
  rig = await webhookRig();
});
afterAll(() => rig.close());

function webhooks(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const env = { ...process.env, DATABASE_URL: rig.url, WEBHOOK_ALLOW_HTTP: '1' };
  return new Promise((resolve) => {
    execFile(process.execPath, ['--import', 'tsx', main, ...args], { env }, (error, out, err) => {
      resolve({ code: error ? Number(error.code) : 0, out, err });
    });
  });
}

describe('npm run webhooks', { timeout: 120_000 }, () => {
  it('says how it is used', async () => {
    expect(await webhooks('--help')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Usage: npm run webhooks'),
    });
    for (const wrong of [
      [],
      ['send'],
      ['list', 'everything'],
      ['replay', '--endpoint', 'x'],
      ['replay', '--endpoint', 'x', '--since', 'yesterday'],
      ['replay', '--endpoint', 'x', '--since', '2027-01-31T12:00:00'],
      ['replay', '--endpoint', 'x', '--since', '2027-01-31', '--types', 'order.sold'],
      ['test'],
      ['test', '--url', 'https://hooks.shop.example/', '--secret', 'mine'],
      ['list', '--nonsense'],
    ]) {
      const said = await webhooks(...wrong);
      expect([wrong, said.code]).toEqual([wrong, 2]);
      expect(said.err).toContain('Usage');
    }
  });

  it('lists endpoints, and replays for one', async () => {
    rig.start();
    const [order] = await rig.orders(1);
    await eventually(async () => {
      const { rows } = await rig.db.query<{ done: boolean }>(
        `SELECT position = (SELECT max(id) FROM order_events) AS done FROM outbox_cursors WHERE sink = 'webhooks'`,
      );
      expect(rows[0].done).toBe(true);
    });
    const endpoint = await rig.endpoint();
    const listed = await webhooks('list', '--json');
    expect(listed.code).toBe(0);
    expect(JSON.parse(listed.out).endpoints).toMatchObject([{ id: endpoint, tenant: 'default', waiting: 0 }]);
    expect((await webhooks('list')).out).toContain(`${endpoint}  default  works`);
    expect((await webhooks('list', '--tenant', 'nobody')).out).toBe('There are none.\n');
    const since = new Date(Date.now() - 3_600_000).toISOString();
    const replayed = await webhooks('replay', '--endpoint', endpoint, '--since', since);
    expect(replayed).toMatchObject({ code: 0, out: expect.stringMatching(/^Replay \d+ is asked for/) });
    await eventually(() =>
      expect(rig.receiver.received.map((one) => JSON.parse(one.body).data.order_id)).toEqual([order]),
    );
    expect(await webhooks('replay', '--endpoint', 'whe_none', '--since', since)).toMatchObject({ code: 1 });
    await changeEndpoint(rig.db, 'default', endpoint, { enabled: false });
    expect((await webhooks('replay', '--endpoint', endpoint, '--since', since)).err).toContain('disabled');
  });

  it('tests a URL, and says whether it took the webhook', async () => {
    const receiver = await startReceiver();
    const url = `http://127.0.0.1:${receiver.port}/hook`;
    const fine = await webhooks('test', '--url', url, '--json');
    expect(fine.code).toBe(0);
    const { secret, ...told } = JSON.parse(fine.out);
    expect(told).toMatchObject({ delivered: true, outcome: 'answered', status: 204 });
    const [one] = receiver.received;
    const payload = new Webhook(secret).verify(one.body, one.headers as Record<string, string>);
    expect(payload).toMatchObject({ type: 'webhook.test' });
    receiver.answer(500);
    expect(await webhooks('test', '--url', url, '--secret', secret)).toMatchObject({
      code: 1,
      out: expect.stringContaining('Not delivered: it answered 500'),
    });
    expect(await webhooks('test', '--url', 'https://169.254.169.254/')).toMatchObject({
      code: 1,
      out: expect.stringContaining('must lead to a public address'),
    });
    await receiver.close();
  });
});
