/** A sandbox PSP in its own process, and the place its webhooks go to: whatever ledger a test has just now. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startTestSandbox, type TestSandbox } from '../../../payments/sandbox/testing/start.ts';

export type Webhook = { headers: Record<string, string | undefined>; raw: Buffer };

export type TestProvider = {
  sandbox: TestSandbox;
  /** Who takes webhooks from now on; true: taken. With nobody there they are sent again and again. */
  deliverTo(receive: ((webhook: Webhook) => Promise<boolean>) | undefined): void;
  close(): Promise<void>;
};

export async function testProvider(): Promise<TestProvider> {
  let receive: ((webhook: Webhook) => Promise<boolean>) | undefined;
  const post = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const webhook = { headers: request.headers as Webhook['headers'], raw: Buffer.concat(chunks) };
    const taken = await receive?.(webhook).catch(() => false);
    response.writeHead(taken ? 200 : 503).end();
  });
  post.listen(0, '127.0.0.1');
  await once(post, 'listening');
  const sandbox = await startTestSandbox({
    webhook_url: `http://127.0.0.1:${(post.address() as AddressInfo).port}/`,
  });
  return {
    sandbox,
    deliverTo: (next) => {
      receive = next;
    },
    async close() {
      await sandbox.stop();
      post.close();
      post.closeAllConnections();
    },
  };
}
