/**
 * The page on which a buyer approves a PayPal order or goes back, at the order's `payer-action` link. An approval holds
 * nothing; it leads to `return_url` with PayPal's own parameters, going back leads to `cancel_url`.
 */
import type { Verbs, WireReply, WireRequest } from './wire.ts';

export async function approvalPage(verbs: Verbs, request: WireRequest): Promise<WireReply> {
  const id = request.query.get('token') ?? '';
  const order = await verbs.peek(id);
  const { return_url, cancel_url } = order?.extra ?? {};
  if (!order || !return_url) return html(404, '<h1>There is no such order</h1>');
  if (request.method !== 'POST') return html(200, form(id, order.status === 'created'));
  if (new URLSearchParams(request.text).get('decision') !== 'approve')
    return back(cancel_url ?? return_url, id);
  if (order.status === 'created' && order.extra?.approved !== '1') await verbs.remark(id, { approved: '1' });
  return back(return_url, id, 'SANDBOXPAYER1');
}

function form(id: string, open: boolean): string {
  if (!open) return '<h1>This order is not open any more</h1>';
  return `<h1>Sandbox PayPal</h1>
<form method="post" action="?token=${encodeURIComponent(id)}">
<button name="decision" value="approve">Approve</button>
<button name="decision" value="cancel">Decline</button>
</form>`;
}

function back(url: string, token: string, payer?: string): WireReply {
  const target = new URL(url);
  target.searchParams.set('token', token);
  if (payer) target.searchParams.set('PayerID', payer);
  return { http_status: 303, headers: { location: target.href }, body: '' };
}

function html(http_status: number, content: string): WireReply {
  return {
    http_status,
    headers: { 'content-type': 'text/html; charset=utf-8' },
    body: `<!doctype html><html lang="en"><meta charset="utf-8"><title>Sandbox PayPal</title><body>${content}</body></html>`,
  };
}
