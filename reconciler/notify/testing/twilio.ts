/**
 * A local server with the shapes of Twilio's public documentation (message resource, error responses), for tests.
 * https://www.twilio.com/docs/messaging/api/message-resource
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export type TwilioCall = {
  method: string;
  path: string;
  authorization?: string;
  type?: string;
  form: Record<string, string>;
};

/** What the next requests are answered with; undefined: as Twilio does when all is well. */
export type TwilioFault = { status: number; code?: number; message?: string } | { cut: 'before' | 'after' };

export type TestTwilio = {
  url: string;
  calls: TwilioCall[];
  /** Texts that were sent. */
  messages: Record<string, unknown>[];
  fault: (call: TwilioCall) => TwilioFault | undefined;
  stop(): Promise<void>;
};

export const ACCOUNT = 'ACXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX';
export const TOKEN = 'a-token-that-is-a-secret';

export async function startTestTwilio(): Promise<TestTwilio> {
  const twilio: TestTwilio = { url: '', calls: [], messages: [], fault: () => undefined, stop };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://twilio');
      const text = request.method === 'GET' ? url.search.slice(1) : Buffer.concat(chunks).toString('utf8');
      const call: TwilioCall = {
        method: request.method ?? '',
        path: url.pathname,
        authorization: request.headers.authorization,
        type: request.headers['content-type'],
        form: Object.fromEntries(new URLSearchParams(text)),
      };
      twilio.calls.push(call);
      const fault = twilio.fault(call);
      if (fault && 'cut' in fault && fault.cut === 'before') return request.socket.destroy();
      const send = (status: number, body: object) =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      if (fault && 'status' in fault) {
        const { status, code = status, message = 'no' } = fault;
        const more_info = `https://www.twilio.com/docs/errors/${code}`;
        return send(status, { code, message, more_info, status });
      }
      if (call.method === 'GET') {
        const { To, From } = call.form;
        const found = twilio.messages.filter(({ to, from }) => to === To && from === From);
        return send(200, { messages: [...found].reverse(), page: 0, page_size: 50, next_page_uri: null });
      }
      const message = messageOf(call.form, twilio.messages.length);
      twilio.messages.push(message);
      if (fault && 'cut' in fault) return request.socket.destroy();
      return send(201, message);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  twilio.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return twilio;

  function stop(): Promise<void> {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(() => resolve()));
  }
}

/** The answer to a create, as documented. */
function messageOf(form: Record<string, string>, no: number) {
  return {
    account_sid: ACCOUNT,
    api_version: '2010-04-01',
    body: form.Body,
    date_created: new Date().toUTCString().replace('GMT', '+0000'),
    date_sent: null,
    date_updated: new Date().toUTCString().replace('GMT', '+0000'),
    direction: 'outbound-api',
    error_code: null,
    error_message: null,
    from: form.From,
    messaging_service_sid: null,
    num_media: '0',
    num_segments: '1',
    price: null,
    price_unit: 'USD',
    sid: `SM${String(no).padStart(32, '0')}`,
    status: 'queued',
    to: form.To,
    uri: `/2010-04-01/Accounts/${ACCOUNT}/Messages/SM${String(no).padStart(32, '0')}.json`,
  };
}
