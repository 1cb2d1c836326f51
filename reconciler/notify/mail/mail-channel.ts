/**
 * Notices by e-mail: a pool of SMTP connections.
 *
 * The Message-ID is the notice's own, the same on every try, so that a mailbox that gets a mail twice can know it.
 */
import { createTransport, type Transporter } from 'nodemailer';
import type { ClaimedNotice } from '../../../ledger/notices/claim-notices.ts';
import type { Logger } from '../../../platform/log.ts';
import { type Delivery, type NoticeChannel, SEND_MS_MAX, spoken } from '../channel.ts';
import { isMailAddress } from '../clean-text.ts';
import type { Compose, Composed } from '../compose.ts';

export type MailSettings = {
  smtp_url: string;
  from: string;
  reply_to: string | null;
  shop_name: string;
  connections: number;
  rate: number;
};

const CONNECT_MS_MAX = 10_000;
/** Of silence, in the midst of a conversation. */
const SILENCE_MS_MAX = 30_000;

export function createMailChannel(settings: MailSettings, compose: Compose, log: Logger): NoticeChannel {
  const pool = createPool(settings);
  const domain = settings.from.slice(settings.from.lastIndexOf('@') + 1);
  return {
    name: 'email',
    domain,
    concurrency: settings.connections,
    rate: settings.rate,
    async send(notice, facts) {
      if (!isMailAddress(notice.recipient)) return { kind: 'refused', error: 'not an address' };
      const mail = await compose.mail(facts);
      if (mail.letters_missing) {
        log.warn(
          { order_id: notice.order_id },
          'an invoice has letters that no font has; INVOICE_FONT adds one',
        );
      }
      try {
        await pool.sendMail(envelopeOf(notice, mail, settings, domain));
        return { kind: 'sent', id: null };
      } catch (error) {
        return deliveryOf(error);
      }
    },
    close: () => pool.close(),
  };
}

function createPool(settings: MailSettings): Transporter {
  const { hostname } = new URL(settings.smtp_url);
  const options = {
    pool: true as const,
    // What stands in the URL goes before this: `?requireTLS=false` for a relay in one's own network.
    url: settings.smtp_url,
    requireTLS: !['127.0.0.1', 'localhost', '[::1]'].includes(hostname),
    maxConnections: settings.connections,
    maxMessages: 100,
    // A message of which no byte went out may take another connection; tries beyond that are the sender's.
    maxRequeues: 1,
    connectionTimeout: CONNECT_MS_MAX,
    greetingTimeout: CONNECT_MS_MAX,
    socketTimeout: SILENCE_MS_MAX,
    // Nothing in a message makes this process read a file or ask a server.
    disableFileAccess: true,
    disableUrlAccess: true,
  };
  return createTransport(options);
}

function envelopeOf(notice: ClaimedNotice, mail: Composed, settings: MailSettings, domain: string) {
  return {
    from: { name: settings.shop_name, address: settings.from },
    to: { name: '', address: notice.recipient },
    ...(settings.reply_to && { replyTo: settings.reply_to }),
    subject: mail.subject,
    text: mail.text,
    html: mail.html,
    attachments: mail.attachments.map(({ filename, content_type, content }) => ({
      filename,
      content,
      contentType: content_type,
    })),
    messageId: notice.message_id ?? undefined,
    // All of an order's mails are one thread.
    references: `<order.${notice.order_id}@${domain}>`,
    date: notice.wanted_at,
    headers: {
      // No holiday replies, no answers from robots. It is no list mail: there is nothing to unsubscribe from.
      'Auto-Submitted': 'auto-generated',
      'X-Auto-Response-Suppress': 'All',
      'X-Stampede-Event': `evt_${notice.event_id}`,
    },
    signal: AbortSignal.timeout(SEND_MS_MAX),
  };
}

type SmtpError = { message?: string; code?: string; command?: string; responseCode?: number };

/**
 * A 5xx is for good only where it is about this mail: its recipient, or what is in it. One about us (login, sender,
 * a greeting that turns us away) would fail every mail there is, for a setting that an operator puts right.
 */
export function deliveryOf(error: unknown): Delivery {
  const { message = '', code, command, responseCode: status } = error as SmtpError;
  const said = spoken(message) || code || 'unknown';
  const about_this_mail = code === 'EMESSAGE' || (code === 'EENVELOPE' && /^RCPT/.test(command ?? ''));
  if (status && about_this_mail && status !== 421) {
    return status >= 500 ? { kind: 'refused', error: said } : { kind: 'later', error: said, away: false };
  }
  // Refused here, before any server was asked: no such recipient can be written.
  if (code === 'EENVELOPE' && !status) return { kind: 'refused', error: said };
  return { kind: 'later', error: said, away: true };
}
