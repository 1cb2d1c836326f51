/**
 * Is a webhook PayPal's? Verified here, with PayPal's certificate, over the raw bytes: SHA256withRSA over
 * `transmission id|transmission time|webhook id|CRC-32 of the body`. Not by asking `verify-webhook-signature`: that
 * needs the event written again as JSON, and would have everybody who sends us a forged one make us call PayPal.
 *
 * The certificate comes from the address that the webhook names, so only addresses of the API that we are configured
 * for are ever asked, over TLS and without following redirects, and each certificate once.
 */
import { verify, X509Certificate } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { VerifiedWebhook, WebhookHeaders } from '../port.ts';
import { SIGNATURE_TOLERANCE_MS } from '../signature.ts';
import { asFields, asText, parseJson } from './reading.ts';

export type WebhookVerifier = {
  verify(headers: WebhookHeaders, raw: Buffer, now_ms: number): Promise<VerifiedWebhook>;
};

const CERTIFICATES_PATH = '/v1/notifications/certs/';
const CERTIFICATE_BYTES_MAX = 64 * 1024;
const CERTIFICATES_MAX = 8;
const FETCH_MS = 4_000;
/** Who sends forged webhooks with made-up certificate addresses must not make us ask PayPal for ever. */
const FETCHES_A_MINUTE = 10;

type Certificate = { kind: 'certificate'; certificate: X509Certificate } | { kind: 'refused' | 'away' };

export function createWebhookVerifier(settings: { url: string; webhook_id: string }): WebhookVerifier {
  const folders = certificateFolders(settings.url);
  const certificates = createCertificates();

  return {
    async verify(headers, raw, now_ms) {
      const refused = (reason: string): VerifiedWebhook => ({ kind: 'refused', reason });
      const id = headers['paypal-transmission-id'];
      const time = headers['paypal-transmission-time'];
      const signature = headers['paypal-transmission-sig'];
      const address = headers['paypal-cert-url'];
      if (!id || !time || !signature || !address) return refused('signature missing');
      if (headers['paypal-auth-algo'] !== 'SHA256withRSA') return refused('signature malformed');
      const at_ms = Date.parse(time);
      if (!Number.isFinite(at_ms)) return refused('signature malformed');
      if (Math.abs(now_ms - at_ms) > SIGNATURE_TOLERANCE_MS) return refused('signature stale');
      const url = certificateUrl(address, folders);
      if (!url) return refused('certificate not of PayPal');
      const found = await certificates.get(url);
      if (found.kind !== 'certificate') {
        return found.kind === 'away'
          ? { kind: 'unsure', reason: 'certificate not available' }
          : refused('no certificate');
      }
      if (!isValidAt(found.certificate, now_ms)) return refused('certificate expired');
      const message = `${id}|${time}|${settings.webhook_id}|${crc32(raw)}`;
      if (!isSigned(found.certificate, message, signature)) return refused('signature wrong');
      const body = asFields(parseJson(raw));
      const event_id = asText(body?.id);
      return event_id ? { kind: 'genuine', event_id, body } : refused('no event');
    },
  };
}

/** Where certificates that count lie: in the environment that we are configured for, and no other. */
export function certificateFolders(api_url: string): readonly string[] {
  const { hostname, origin, pathname } = new URL(api_url);
  if (!/(^|\.)paypal\.com$/.test(hostname)) {
    return [withoutName(origin) + pathname.replace(/\/$/, '') + CERTIFICATES_PATH];
  }
  const sandbox = hostname.includes('sandbox') ? '.sandbox' : '';
  return [`https://api${sandbox}.paypal.com`, `https://api-m${sandbox}.paypal.com`].map(
    (api) => api + CERTIFICATES_PATH,
  );
}

/** The address in full, if it is that of a certificate of theirs. */
export function certificateUrl(address: string, folders: readonly string[]): string | undefined {
  if (!URL.canParse(address)) return undefined;
  const href = withoutName(new URL(address).href);
  const folder = folders.find((known) => href.startsWith(known));
  return folder && /^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/.test(href.slice(folder.length)) ? href : undefined;
}

/** A sandbox on this machine may call itself by either. */
function withoutName(url: string): string {
  return url.replace(/^http:\/\/localhost(?=[:/]|$)/, 'http://127.0.0.1');
}

function isValidAt(certificate: X509Certificate, now_ms: number): boolean {
  return Date.parse(certificate.validFrom) <= now_ms && now_ms <= Date.parse(certificate.validTo);
}

function isSigned(certificate: X509Certificate, message: string, signature: string): boolean {
  try {
    return verify(
      'RSA-SHA256',
      Buffer.from(message),
      certificate.publicKey,
      Buffer.from(signature, 'base64'),
    );
  } catch {
    // Not a key of that kind.
    return false;
  }
}

function createCertificates() {
  const known = new Map<string, X509Certificate>();
  const under_way = new Map<string, Promise<Certificate>>();
  let fetches: number[] = [];

  async function fetchCertificate(url: string): Promise<Certificate> {
    try {
      const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_MS) });
      const text = await response.text();
      if (response.status >= 500 || response.status === 429) return { kind: 'away' };
      if (response.status !== 200 || text.length > CERTIFICATE_BYTES_MAX) return { kind: 'refused' };
      const certificate = readCertificate(text);
      if (!certificate) return { kind: 'refused' };
      if (known.size >= CERTIFICATES_MAX) known.delete(known.keys().next().value as string);
      known.set(url, certificate);
      return { kind: 'certificate', certificate };
    } catch {
      return { kind: 'away' };
    }
  }

  return {
    get(url: string): Promise<Certificate> {
      const certificate = known.get(url);
      if (certificate) return Promise.resolve({ kind: 'certificate', certificate });
      const waiting = under_way.get(url);
      if (waiting) return waiting;
      const now_ms = performance.now();
      fetches = fetches.filter((at_ms) => at_ms > now_ms - 60_000);
      if (fetches.length >= FETCHES_A_MINUTE) return Promise.resolve({ kind: 'away' });
      fetches.push(now_ms);
      const asked = fetchCertificate(url).finally(() => under_way.delete(url));
      under_way.set(url, asked);
      return asked;
    },
  };
}

/** The first of a PEM file: the one that signs. */
function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}
