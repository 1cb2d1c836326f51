/**
 * The mailbox over HTTP, on the loopback. What a mail holds is somebody else's HTML: it is shown in a frame that runs
 * no script, loads nothing, and is of no origin; attachments are only ever downloaded.
 *
 * GET / · GET /mails.json · GET /mails/{id} · .../html · .../raw · .../attachments/{no} · POST /clear
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { listPage, mailPage } from './page.ts';
import type { MailStore } from './store.ts';

const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const MAIL_POLICY =
  "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'self'";

/** Names by which this machine is reached; with any other, a page elsewhere has pointed its own name at us. */
const LOCAL_NAMES = ['127.0.0.1', 'localhost', '[::1]'];

export function createMailboxServer(store: MailStore): Server {
  return createServer((request, response) => {
    answer(store, request, response).catch(() => send(response, 500, 'text/plain', 'something went wrong\n'));
  });
}

async function answer(store: MailStore, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '');
  if (!LOCAL_NAMES.includes(host)) return send(response, 421, 'text/plain', 'not known by this name\n');
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  if (request.method === 'POST' && path === '/clear') {
    const site = request.headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin')
      return send(response, 403, 'text/plain', 'not from there\n');
    store.clear();
    response.writeHead(303, { location: '/' }).end();
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return send(response, 405, 'text/plain', 'method not allowed\n');
  }
  if (path === '/livez') return send(response, 200, 'text/plain', 'ok\n');
  if (path === '/') return send(response, 200, 'text/html', listPage(store.list()), PAGE_POLICY);
  if (path === '/mails.json') {
    return send(response, 200, 'application/json', `${JSON.stringify({ mails: store.list() })}\n`);
  }
  const [, id = '', part, no] =
    /^\/mails\/([0-9a-f-]+)(?:\/(html|raw|attachments)(?:\/(\d{1,3}))?)?$/.exec(path) ?? [];
  const found = id ? await store.read(id) : undefined;
  if (!found) return send(response, 404, 'text/plain', 'there is no such mail\n');
  const { stored, raw, mail } = found;
  if (part === undefined) return send(response, 200, 'text/html', mailPage(stored, mail), PAGE_POLICY);
  if (part === 'raw') return send(response, 200, 'text/plain', raw);
  // Its links open in a tab of their own: the frame they stand in leads nowhere.
  if (part === 'html') {
    return send(response, 200, 'text/html', `<base target="_blank">${mail.html ?? ''}`, MAIL_POLICY);
  }
  const attachment = mail.attachments[Number(no)];
  if (!attachment) return send(response, 404, 'text/plain', 'there is no such attachment\n');
  const name = (attachment.filename ?? 'attachment').replace(/[^\w.-]/g, '_');
  response.setHeader('content-disposition', `attachment; filename="${name}"`);
  send(response, 200, 'application/octet-stream', Buffer.from(attachment.content as ArrayBuffer));
}

function send(
  response: ServerResponse,
  status: number,
  type: string,
  body: string | Buffer,
  policy = "default-src 'none'; sandbox",
): void {
  const charset = type.startsWith('text/') ? '; charset=utf-8' : '';
  response
    .writeHead(status, {
      'content-type': `${type}${charset}`,
      'content-security-policy': policy,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
    })
    .end(body);
}
