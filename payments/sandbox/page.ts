/**
 * The hosted page on which a buyer approves or declines, as a bank's or a wallet's: GET and POST /pay/{payment}. It works
 * without script and asks nothing of anybody else. Whoever knows the payment's id may decide: it can't be guessed.
 */
import { formatMinor, isCurrency } from '../../domain/money.ts';
import { HttpRefusal } from './http-refusal.ts';
import { PAGE_STYLE } from './page-style.ts';
import type { SandboxPayment } from './payment.ts';
import type { Sandbox } from './service.ts';
import type { WireReply, WireRequest } from './wires/wire.ts';

export type Pages = (id: string, request: WireRequest) => Promise<WireReply>;

const MERCHANT = 'Stampede';

export function createPages(sandbox: Pick<Sandbox, 'payment' | 'bank' | 'written'>): Pages {
  return async (id, { method, text, query }) => {
    const payment = ledBackTo(await sandbox.payment(id), query.get('callback_url'));
    if (!payment?.challenge)
      return page(404, 'There is no such payment', '<p>Its link may be incomplete.</p>');
    if (method === 'GET' || method === 'HEAD') return shown(payment);
    if (method !== 'POST') throw new HttpRefusal(405, 'method_not_allowed');
    const decision = new URLSearchParams(text).get('decision');
    if (decision !== 'approve' && decision !== 'decline') throw new HttpRefusal(400, 'invalid_decision');
    sandbox.bank.decide(payment, decision === 'approve');
    await sandbox.written();
    const back = backOf(payment);
    return back
      ? { http_status: 303, headers: { location: back }, body: '' }
      : shown((await sandbox.payment(id)) ?? payment);
  };
}

/** Some providers are told in the address of their page where it leads, not before. */
function ledBackTo(payment: SandboxPayment | undefined, url: string | null): SandboxPayment | undefined {
  if (!payment?.challenge || url === null) return payment;
  return { ...payment, challenge: { ...payment.challenge, return_url: url } };
}

function shown(payment: SandboxPayment): WireReply {
  return payment.status === 'pending' ? asked(payment) : over(payment);
}

function asked(payment: SandboxPayment): WireReply {
  const { order_id, challenge, deadline_ms, method } = payment;
  const what =
    challenge?.type === 'upi' ? 'UPI payment' : method === 'wallet' ? 'Wallet payment' : '3-D Secure';
  const rows = [
    ['Merchant', MERCHANT],
    ['Order', order_id],
    ['Way to pay', what],
    ...(deadline_ms === undefined
      ? []
      : [['Open until', `${new Date(deadline_ms).toISOString().slice(11, 16)} UTC`]]),
  ];
  const content = `<p class="amount">${text(money(payment))}</p>
<dl>${rows.map(([name, value]) => `<div><dt>${text(name)}</dt><dd>${text(value)}</dd></div>`).join('')}</dl>
<form method="post">
<button class="approve" name="decision" value="approve">Approve</button>
<button name="decision" value="decline">Decline</button>
</form>`;
  return page(200, 'Approve this payment?', content, backOf(payment));
}

function over(payment: SandboxPayment): WireReply {
  const { status, decline_code } = payment;
  const expired = decline_code === 'expired';
  const [title, line] =
    status === 'declined'
      ? expired
        ? ['This payment has expired', 'Nobody was charged.']
        : ['This payment was declined', 'Nobody was charged.']
      : status === 'voided'
        ? ['This payment was called back', 'The shop does not want it any more. Nobody was charged.']
        : ['This payment is approved', `${money(payment)} to ${MERCHANT}.`];
  const back = backOf(payment);
  const link = back ? `<p><a class="approve" href="${text(back)}">Back to the shop</a></p>` : '';
  return page(200, title, `<p>${text(line)}</p>${link}`, back);
}

/** Where it leads, if that is a web page. */
function backOf({ challenge }: SandboxPayment): string | undefined {
  const url = challenge?.return_url;
  return url && URL.canParse(url) && /^https?:$/.test(new URL(url).protocol) ? url : undefined;
}

function money({ amount, currency }: SandboxPayment): string {
  return `${isCurrency(currency) ? formatMinor(amount, currency) : amount} ${currency}`;
}

/** `leads_to`: browsers hold a form's redirects against its policy, too. */
function page(http_status: number, title: string, content: string, leads_to?: string): WireReply {
  const targets = leads_to ? `'self' ${new URL(leads_to).origin}` : "'self'";
  return {
    http_status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': `default-src 'none'; style-src 'unsafe-inline'; form-action ${targets}; base-uri 'none'; frame-ancestors 'none'`,
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    },
    body: `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(title)} - Sandbox bank</title><style>${PAGE_STYLE}</style></head>
<body><main><p class="bank">Sandbox bank: no money moves here</p><h1>${text(title)}</h1>
${content}</main></body>
</html>
`,
  };
}

function text(value: string): string {
  return value.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
