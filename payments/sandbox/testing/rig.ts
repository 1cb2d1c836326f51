/** A sandbox in its own process, its adapter, and where its webhooks go, for tests. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSandboxPsp } from '../../adapters/sandbox.ts';
import { type AuthorizeRequest, idempotencyKey, type Psp } from '../../port.ts';
import { startTestSandbox, type TestSandbox } from './start.ts';

export type Hook = { path: string; headers: Record<string, string | undefined>; raw: Buffer };

export type SandboxRig = {
  sandbox: TestSandbox;
  psp: Psp;
  /** Webhooks received since `reset`. */
  received: Hook[];
  /** In good health again. */
  reset(): Promise<void>;
  close(): Promise<void>;
};

export async function startSandboxRig(): Promise<SandboxRig> {
  const received: Hook[] = [];
  const hooks = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const headers = request.headers as Record<string, string>;
    received.push({ path: request.url ?? '', headers, raw: Buffer.concat(chunks) });
    response.writeHead(200).end();
  });
  hooks.listen(0, '127.0.0.1');
  await once(hooks, 'listening');
  const { port } = hooks.address() as AddressInfo;
  const sandbox = await startTestSandbox({ webhook_url: `http://127.0.0.1:${port}/hooks/sandbox` });
  const psp = createSandboxPsp({ url: sandbox.url, secret: sandbox.secret, timeout_ms: 2_000 });
  return {
    ...{ sandbox, psp, received },
    async reset() {
      received.length = 0;
      await sandbox.admin('faults', { faults: [] });
      await sandbox.admin('settings', {
        ...{ slow_ms: 100, late_ms: 50, upi_ms: 50, time_scale: 1, events: 'untold' },
      });
    },
    async close() {
      psp.close();
      await sandbox.stop();
      hooks.close();
      hooks.closeAllConnections();
    },
  };
}

export function paymentOf(token: string, expires_in_ms = 600_000): AuthorizeRequest {
  const reference = randomUUID();
  return {
    reference,
    psp_ref: null,
    order_id: `order_${reference}`,
    idempotency_key: idempotencyKey(reference, 'authorize'),
    amount: 1_250,
    currency: 'USD',
    payment_method: { type: 'card', token },
    expires_at: new Date(Date.now() + expires_in_ms),
    return_url: 'http://127.0.0.1:3000/?order=1',
  };
}
