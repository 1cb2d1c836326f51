/**
 * Notices by SMS or WhatsApp, through Twilio or whatever speaks like it.
 *
 *     POST {api}/2010-04-01/Accounts/{sid}/Messages.json   To, From, Body, form-encoded, basic auth -> 201 {"sid", ...}
 *     errors: {"code": 21610, "message": "...", "more_info": "...", "status": 400}
 *     https://www.twilio.com/docs/messaging/api/message-resource
 *
 * Twilio has no idempotency keys. A request that came to no answer may have sent the text, so before any further try
 * its list of messages is asked whether this very text went to this number since the notice was wanted.
 */
import type { ClaimedNotice } from '../../../ledger/notices/claim-notices.ts';
import { type Delivery, type NoticeChannel, spoken } from '../channel.ts';
import { isPhone } from '../clean-text.ts';
import type { Compose } from '../compose.ts';

export type TwilioSettings = {
  api_url: string;
  account_sid: string;
  auth_token: string;
  from: string;
  channel: 'sms' | 'whatsapp';
  timeout_ms?: number;
};

/** A number has a queue at Twilio; what it takes a second is its own affair, and more comes back as 429. */
const CONCURRENCY = 4;
const RATE = 10;
const TIMEOUT_MS = 15_000;
const ANSWER_BYTES_MAX = 256 * 1024;
/** Between Twilio's clock and the ledger's. */
const CLOCKS_MS = 120_000;
const LISTED_MAX = 50;

/** They have said STOP, or can't be reached on this channel: nobody is to be told so again. */
const UNWANTED_CODES = new Set([
  21610, // the recipient has unsubscribed
]);
/** About our account, number or settings: true of every text until an operator has put it right. */
const OUR_CODES = new Set([
  20003, // authentication failed
  20005, // the account is not active
  21659, // From is not ours
  21660, // From belongs to another account
  30002, // the account is suspended
]);

export function createTwilioChannel(settings: TwilioSettings, compose: Compose): NoticeChannel {
  const { api_url, account_sid, auth_token, channel, timeout_ms = TIMEOUT_MS } = settings;
  const url = `${api_url.replace(/\/$/, '')}/2010-04-01/Accounts/${encodeURIComponent(account_sid)}/Messages.json`;
  const authorization = `Basic ${Buffer.from(`${account_sid}:${auth_token}`).toString('base64')}`;
  const addressed = (number: string) => (channel === 'whatsapp' ? `whatsapp:${number}` : number);
  const from = addressed(settings.from);

  return {
    name: channel,
    domain: null,
    concurrency: CONCURRENCY,
    rate: RATE,
    async send(notice, facts) {
      if (!isPhone(notice.recipient)) return { kind: 'refused', error: 'not a number in E.164' };
      const text = { To: addressed(notice.recipient), From: from, Body: compose.text(facts) };
      if (notice.tries > 1) {
        const known = await findSent(text, notice);
        if (known) return known;
      }
      const answer = await call('POST', url, new URLSearchParams(text));
      return deliveryOf(answer);
    },
    close() {},
  };

  /** Did it go out before? `later` where nobody says. */
  async function findSent(
    text: { To: string; From: string; Body: string },
    notice: ClaimedNotice,
  ): Promise<Delivery | undefined> {
    const query = new URLSearchParams({ To: text.To, From: text.From, PageSize: String(LISTED_MAX) });
    const answer = await call('GET', `${url}?${query}`);
    if (answer.kind !== 'answer' || answer.status !== 200) return deliveryOf(answer);
    const { messages } = answer.body as { messages?: TwilioMessage[] };
    const since_ms = notice.wanted_at.getTime() - CLOCKS_MS;
    const found = messages?.find(
      (message) => message.body === text.Body && Date.parse(message.date_created ?? '') >= since_ms,
    );
    return found && { kind: 'sent', id: found.sid ?? null };
  }

  async function call(method: 'GET' | 'POST', to: string, body?: URLSearchParams): Promise<Answer> {
    try {
      const response = await fetch(to, {
        method,
        headers: { authorization, accept: 'application/json' },
        body,
        redirect: 'error',
        signal: AbortSignal.timeout(timeout_ms),
      });
      const text = await boundedText(response);
      return { kind: 'answer', status: response.status, body: parsed(text) };
    } catch (error) {
      const { message, cause } = error as Error;
      return { kind: 'none', reason: spoken((cause as { code?: string } | undefined)?.code ?? message) };
    }
  }
}

type TwilioMessage = { sid?: string; body?: string; date_created?: string };
type Answer = { kind: 'answer'; status: number; body: object } | { kind: 'none'; reason: string };

function deliveryOf(answer: Answer): Delivery {
  if (answer.kind === 'none') return { kind: 'later', error: answer.reason, away: true };
  const { status, body } = answer;
  const { sid, code, message } = body as { sid?: string; code?: number; message?: string };
  if (status === 201 || status === 200) return { kind: 'sent', id: sid ?? null };
  const error = `${status}${code ? ` ${code}` : ''}: ${spoken(message ?? 'no words')}`;
  if (code !== undefined && UNWANTED_CODES.has(code)) return { kind: 'unwanted', error };
  const ours = status === 401 || status === 403 || (code !== undefined && OUR_CODES.has(code));
  if (ours || status === 429 || status >= 500) return { kind: 'later', error, away: true };
  if (status >= 400) return { kind: 'refused', error };
  return { kind: 'later', error, away: true };
}

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** An answer larger than any that there is is not read to its end. */
async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > ANSWER_BYTES_MAX) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
