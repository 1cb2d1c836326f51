import { expect, test } from 'vitest';
import { countsOf } from './counts.ts';

test('every answer of a checkout is counted once, and by what became of it', () => {
  const metrics = [
    'stampede_checkout_total{outcome="accepted"} 70',
    'stampede_checkout_total{outcome="replayed"} 20',
    'stampede_checkout_total{outcome="sold_out"} 3',
    'stampede_checkout_total{outcome="idempotency_key_reused"} 5',
    'stampede_checkout_total{outcome="unavailable"} 1',
    'stampede_http_requests_total{route="checkout",status="201"} 90',
    'stampede_http_requests_total{route="checkout",status="409"} 3',
    'stampede_http_requests_total{route="checkout",status="422"} 5',
    'stampede_http_requests_total{route="checkout",status="400"} 4',
    'stampede_http_requests_total{route="checkout",status="429"} 2',
    'stampede_http_requests_total{route="checkout",status="503"} 6',
    'stampede_http_requests_total{route="order",status="404"} 9',
  ].join('\n');
  expect(countsOf(metrics)).toEqual({
    ...{ accepted: 70, replayed: 20, refused: 3, altered: 5, invalid: 4, failed: 8 },
  });
});
