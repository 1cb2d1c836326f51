/** PayPal's access token: asked for once, by whoever needs it first, and kept until shortly before it ends. */
import type { JsonClient } from '../http-json.ts';
import { asFields, asText } from './reading.ts';

export type Grant =
  | { kind: 'granted'; access_token: string }
  | { kind: 'none'; reason: 'timeout' | 'connection' };

export type AccessToken = {
  get(): Promise<Grant>;
  /** It was refused. Another one, got meanwhile, stays. */
  forget(access_token: string): void;
};

/** Not used any more this long before its end, ms. */
const MARGIN_MS = 60_000;

export function createAccessToken(
  client: JsonClient,
  credentials: { client_id: string; client_secret: string },
  now_ms: () => number = () => performance.now(),
): AccessToken {
  const basic = Buffer.from(`${credentials.client_id}:${credentials.client_secret}`).toString('base64');
  let kept: { access_token: string; until_ms: number } | undefined;
  let under_way: Promise<Grant> | undefined;

  async function ask(): Promise<Grant> {
    const asked_ms = now_ms();
    const answer = await client.call('POST', '/v1/oauth2/token', {
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    if (answer.kind === 'none') return answer;
    const body = asFields(answer.body);
    const access_token = asText(body?.access_token);
    const seconds = Number(body?.expires_in);
    // Refused or unreadable: nothing was asked of any payment, as if nobody had answered.
    if (answer.http_status !== 200 || !access_token || /[^!-~]/.test(access_token)) {
      return { kind: 'none', reason: 'connection' };
    }
    kept = {
      access_token,
      until_ms: asked_ms + (Number.isFinite(seconds) ? seconds * 1_000 : 0) - MARGIN_MS,
    };
    return { kind: 'granted', access_token };
  }

  return {
    get() {
      if (kept && now_ms() < kept.until_ms) {
        return Promise.resolve({ kind: 'granted', access_token: kept.access_token });
      }
      under_way ??= ask().finally(() => {
        under_way = undefined;
      });
      return under_way;
    },
    forget(access_token) {
      if (kept?.access_token === access_token) kept = undefined;
    },
  };
}
