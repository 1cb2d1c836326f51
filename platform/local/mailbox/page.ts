/** The mailbox as pages: the list, one mail. No script runs anywhere on them. */
import type { Email } from 'postal-mime';
import type { Stored } from './store.ts';

const STYLE = `
:root { color-scheme: light dark; --label: #ffd426; --ink: #17130a; --soft: #5d5644; --paper: #fffdf5; --back: #efeadb; --rule: #c9c1aa; }
@media (prefers-color-scheme: dark) { :root { --ink: #f7efd6; --soft: #bfb491; --paper: #262114; --back: #16130b; --rule: #564c31; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink); font: 15px/1.5 "Helvetica Neue", Helvetica, Arial, sans-serif; }
header { background: var(--label); color: #17130a; padding: 14px 28px; display: flex; gap: 18px; align-items: baseline; }
header a { color: #17130a; font-weight: bold; text-decoration: none; font-size: 17px; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 28px 48px; }
table { width: 100%; border-collapse: collapse; background: var(--paper); border-radius: 6px; }
td { padding: 10px 14px; border-bottom: 1px solid var(--rule); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td.narrow { width: 1%; }
td.narrow, .soft { color: var(--soft); white-space: nowrap; }
a { color: inherit; }
td a { font-weight: bold; text-decoration: none; }
td a:hover, td a:focus { text-decoration: underline; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 18px; margin: 0 0 18px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 14px; }
h2 { font-size: 15px; margin: 26px 0 8px; }
iframe { width: 100%; height: 860px; border: 1px solid var(--rule); border-radius: 6px; background: #fff; }
pre { background: var(--paper); border: 1px solid var(--rule); border-radius: 6px; padding: 16px; white-space: pre-wrap; overflow-wrap: anywhere; }
ul { padding: 0; margin: 0 0 18px; list-style: none; display: flex; flex-wrap: wrap; gap: 10px; }
li a { display: inline-block; border: 1px solid var(--rule); border-radius: 4px; padding: 6px 12px; background: var(--paper); text-decoration: none; }
button { font: inherit; border: 1px solid var(--rule); background: var(--paper); color: var(--ink); border-radius: 4px; padding: 6px 12px; cursor: pointer; }
.empty { background: var(--paper); border-radius: 6px; padding: 28px; }
form { margin-top: 18px; }
`;

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

function page(title: string, body: string, refresh = ''): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
${refresh}<title>${escapeHtml(title)}</title><style>${STYLE}</style></head>
<body><header><a href="/">Mailbox</a><span>Mails of the local stack. Nothing leaves this machine.</span></header>
<main>${body}</main></body></html>`;
}

const time = (at: Date) => `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`;

export function listPage(mails: readonly Stored[]): string {
  const refresh = '<meta http-equiv="refresh" content="5">\n';
  if (mails.length === 0) {
    const empty =
      '<p class="empty">No mail yet. Buy something in the store: this page looks again every five seconds.</p>';
    return page('Mailbox', `<h1>Mailbox</h1>${empty}`, refresh);
  }
  const rows = mails.map(
    ({ id, received_at, subject, to, attachments }) => `<tr>
<td class="narrow"><time datetime="${received_at.toISOString()}">${time(received_at)}</time></td>
<td><a href="/mails/${id}">${escapeHtml(subject || '(no subject)')}</a><br><span class="soft">to ${escapeHtml(to)}</span></td>
<td class="narrow">${attachments > 0 ? `${attachments} attached` : ''}</td></tr>`,
  );
  const clear = '<form method="post" action="/clear"><button>Delete all</button></form>';
  return page(
    `Mailbox (${mails.length})`,
    `<h1>Mailbox</h1><table>${rows.join('')}</table>${clear}`,
    refresh,
  );
}

export function mailPage(stored: Stored, mail: Email): string {
  const { id } = stored;
  const facts: [string, string][] = [
    ['From', `${mail.from?.name ?? ''} <${mail.from?.address ?? ''}>`],
    ['To', stored.to],
    ...(mail.replyTo?.[0]?.address ? ([['Answers to', mail.replyTo[0].address]] as [string, string][]) : []),
    ['Received', time(stored.received_at)],
    ['Message-ID', stored.message_id],
  ];
  const attached = mail.attachments.map(
    ({ filename, mimeType, content }, no) =>
      `<li><a href="/mails/${id}/attachments/${no}">${escapeHtml(filename ?? 'unnamed')}</a> <span class="soft">${escapeHtml(mimeType)}, ${Math.ceil(sizeOf(content) / 1024)} KiB</span></li>`,
  );
  const body = [
    `<h1>${escapeHtml(mail.subject ?? '(no subject)')}</h1>`,
    `<dl>${facts.map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`).join('')}</dl>`,
    attached.length > 0 ? `<ul>${attached.join('')}</ul>` : '',
    mail.html
      ? `<iframe title="The mail as HTML" sandbox="allow-popups allow-popups-to-escape-sandbox" src="/mails/${id}/html"></iframe>`
      : '',
    mail.text ? `<h2>As text</h2><pre>${escapeHtml(mail.text)}</pre>` : '',
    `<p><a href="/mails/${id}/raw">The mail as it came</a></p>`,
  ];
  return page(mail.subject ?? 'Mail', body.join('\n'));
}

export function sizeOf(content: ArrayBuffer | Uint8Array | string): number {
  return typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength;
}
