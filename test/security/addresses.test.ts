/** Whose request it is, for the limit of an address: X-Forwarded-For counts as far as proxies that we trust wrote it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exchangeRaw } from '../../engine/testing/raw-http.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';

/** One request, then none for a long time. */
const ONE = '0.01';

/** Statuses of requests with these headers, one after another. */
async function ask(t: TestEngine, ...requests: (readonly string[])[]): Promise<number[]> {
  const statuses: number[] = [];
  for (const headers of requests) {
    const lines = headers.map((line) => `${line}\r\n`).join('');
    const path = lines.includes('Upgrade') ? '/v1/sales/none/live' : '/v1/sales/none';
    const { answers } = await exchangeRaw(t.port, [`GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`]);
    statuses.push(answers[0].status);
  }
  return statuses;
}
const via = (...chains: string[]) => chains.map((chain) => `X-Forwarded-For: ${chain}`);

describe('without trusted proxies', () => {
  let t: TestEngine;
  beforeAll(async () => {
    t = await startTestEngine({ env: { RATE_LIMIT_IP: ONE } });
  });
  afterAll(() => t.stop());

  it('a WebSocket counts as a request', async () => {
    const upgrade = [
      ...['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ];
    const other = await startTestEngine({ env: { RATE_LIMIT_IP: ONE } });
    expect(await ask(other, upgrade, upgrade, [])).toEqual([404, 429, 429]);
    await other.stop();
  });

  it('nothing that a client writes about its address counts', async () => {
    const claims = [
      ...[
        'X-Forwarded-For',
        'X-Real-IP',
        'True-Client-IP',
        'CF-Connecting-IP',
        'X-Client-IP',
        'X-Cluster-Client-IP',
      ],
    ].map((name, i) => [`${name}: 198.51.100.${i}`]);
    const told = await ask(t, [], ...claims, ['Forwarded: for=198.51.100.99'], via('127.0.0.1'));
    expect(told).toEqual([404, ...Array(claims.length + 2).fill(429)]);
  });
});

describe('behind proxies that are trusted', () => {
  let t: TestEngine;
  beforeAll(async () => {
    t = await startTestEngine({
      env: { RATE_LIMIT_IP: ONE, TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8, 2001:db8:aaaa::/48' },
    });
  });
  afterAll(() => t.stop());

  it.each([
    [
      'what stands left of the client is the client’s own word',
      ['198.51.100.1', '203.0.113.1, 198.51.100.1', 'x, 198.51.100.1'],
      1,
    ],
    [
      'a chain of our own proxies is passed through',
      ['198.51.100.2, 10.1.1.1', '198.51.100.2, 10.2.2.2, 10.3.3.3', '198.51.100.2'],
      1,
    ],
    [
      'our own address on the left makes nobody one of us',
      ['10.9.9.9, 198.51.100.3', '198.51.100.3, 10.1.1.1'],
      1,
    ],
    ['different clients are different', ['198.51.100.4', '198.51.100.5', '198.51.100.6, 10.1.1.1'], 3],
    ['a host has a whole /64', ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', '2001:0DB8:0001:0002::2'], 1],
    ['IPv4 in IPv6 is IPv4', ['198.51.100.7', '::ffff:198.51.100.7', '::ffff:c633:6407'], 1],
    ['proxies of IPv6 are passed through', ['198.51.100.8, 2001:db8:aaaa::1', '198.51.100.8'], 1],
  ])('%s', async (_what, chains, clients) => {
    const told = await ask(t, ...chains.map((chain) => via(chain)));
    expect(told.filter((status) => status === 404)).toHaveLength(clients);
  });

  it('two headers are one chain, in their order', async () => {
    expect(await ask(t, via('203.0.113.50', '198.51.100.20'), via('203.0.113.51', '198.51.100.20'))).toEqual([
      404, 429,
    ]);
  });

  it('what is no address stands for the proxy that wrote it', async () => {
    const told = await ask(
      t,
      via('unknown'),
      via(''),
      via('198.51.100.1:80'),
      via('"198.51.100.1"'),
      via(',,,'),
      via('1'.repeat(500)),
    );
    expect(told.filter((status) => status === 404)).toHaveLength(1);
  });
});
