/** The hosted page on which a buyer approves or declines: GET and POST /pay/{payment}. */
import type { Sandbox } from './service.ts';
import type { WireReply, WireRequest } from './wires/wire.ts';

export type Pages = (id: string, request: WireRequest) => Promise<WireReply>;

export function createPages(sandbox: Sandbox): Pages {
  return async (id) => ({
    http_status: (await sandbox.payment(id)) ? 200 : 404,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: '<!doctype html><title>Sandbox</title>',
  });
}
