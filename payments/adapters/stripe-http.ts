/**
 * How the Stripe SDK reaches the network here: through the same client as the other adapters. So a call ends after our own
 * time whatever arrives by then (the SDK's is one of silence), it is sent once (the SDK sends again by itself after a reset,
 * also with `maxNetworkRetries` 0), and the API's URL may have a path, as the sandbox's has.
 */
import type Stripe from 'stripe';
import type { JsonClient } from '../http-json.ts';

/** Why no answer came; the SDK hands it on as `detail` of its StripeConnectionError. */
export class NoAnswer extends Error {
  readonly reason: 'timeout' | 'connection';
  constructor(reason: 'timeout' | 'connection') {
    super(reason);
    this.reason = reason;
  }
}

export function stripeHttpClient(client: JsonClient): Stripe.HttpClient {
  return {
    getClientName: () => 'stampede',
    async makeRequest(_host, _port, path, method, headers, data) {
      if (method !== 'GET' && method !== 'POST') throw new Error(`no call of ours is a ${method}`);
      const body = method === 'POST' ? new URLSearchParams(data) : undefined;
      const answer = await client.call(method, path, { headers: textsOf(headers), body });
      if (answer.kind === 'none') throw new NoAnswer(answer.reason);
      return {
        getStatusCode: () => answer.http_status,
        getHeaders: () => ({}),
        getRawResponse: () => ({}),
        toStream: () => {
          throw new Error('streams are not used');
        },
        toJSON: async () => {
          if (typeof answer.body !== 'object' || answer.body === null) throw new Error('no JSON');
          return answer.body;
        },
      };
    },
  };
}

/** What describes the body is the client's own affair. */
function textsOf(headers: object): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value != null && !/^content-/i.test(name)) texts[name.toLowerCase()] = String(value);
  }
  return texts;
}
