import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../platform/config.ts';
import { createClientAddress } from './client-address.ts';
import { createRateLimit } from './rate-limit.ts';

describe('a limit of 10 a second', () => {
  function limited(rate_per_second: number, keys_max?: number) {
    const clock = { ms: 1_000_000 };
    const limit = createRateLimit({ rate_per_second, keys_max, now_ms: () => clock.ms });
    const passes = (key: string, tries: number) =>
      Array.from({ length: tries }, () => limit.take(key).remaining >= 0).filter(Boolean).length;
    return { clock, limit, passes };
  }

  it('lets a burst of 20 through, then 10 a second, for ever', () => {
    const { clock, passes } = limited(10);
    expect(passes('ada', 30)).toBe(20);
    for (let second = 0; second < 100; second++) {
      clock.ms += 1_000;
      expect(passes('ada', 30)).toBe(10);
    }
  });

  it('says how long to wait, and that is true', () => {
    const { clock, limit, passes } = limited(0.5);
    expect(limit.burst).toBe(1);
    expect(limit.take('ada')).toEqual({ remaining: 0, retry_after_seconds: 0, reset_seconds: 2 });
    expect(limit.take('ada')).toMatchObject({ remaining: -1, retry_after_seconds: 2 });
    clock.ms += 1_999;
    expect(passes('ada', 1)).toBe(0);
    clock.ms += 1;
    expect(passes('ada', 1)).toBe(1);
  });

  it('is each one’s own', () => {
    const { passes } = limited(10);
    expect([passes('ada', 30), passes('bob', 30)]).toEqual([20, 20]);
  });

  it('forgets who has been away, and nobody gains by it', () => {
    const { clock, passes } = limited(10);
    passes('ada', 20);
    clock.ms += 500;
    for (let i = 0; i < 100; i++) passes(`other-${i}`, 1);
    expect(passes('ada', 30)).toBe(5);
    clock.ms += 1_999;
    for (let i = 0; i < 100; i++) passes(`other-${i}`, 1);
    clock.ms += 1_999;
    expect(passes('ada', 30)).toBe(20);
  });

  it('stays bounded under a flood of keys', () => {
    const { passes } = limited(10, 1_000);
    for (let i = 0; i < 50_000; i++) passes(`flood-${i}`, 1);
    expect(passes('ada', 30)).toBe(20);
  });
});

describe('whose request it is', () => {
  const behind = createClientAddress(
    loadConfig({ TRUSTED_PROXIES: '10.0.0.0/8,2001:db8::/32' }).trusted_proxies,
  );
  const direct = createClientAddress([]);

  it.each([
    ['198.51.100.7', '203.0.113.9', '198.51.100.7'],
    ['10.1.2.3', '203.0.113.9', '203.0.113.9'],
    ['10.1.2.3', '', '10.1.2.3'],
    // What the client wrote itself stands on the left and does not count.
    ['10.1.2.3', '192.0.2.66, 203.0.113.9', '203.0.113.9'],
    ['10.1.2.3', '192.0.2.66, 203.0.113.9, 10.9.9.9', '203.0.113.9'],
    ['10.1.2.3', '10.4.4.4, 10.9.9.9', '10.4.4.4'],
    ['10.1.2.3', '203.0.113.9, unknown', '10.1.2.3'],
    ['0000:0000:0000:0000:0000:ffff:0a01:0203', '203.0.113.9', '203.0.113.9'],
    ['::ffff:10.1.2.3', '203.0.113.9', '203.0.113.9'],
    ['2001:db8::1', '2a00:1450:4001:81b::200e', '2a00:1450:4001:81b::/64'],
  ])('%s with X-Forwarded-For "%s" is %s', (peer, forwarded_for, client) => {
    expect(behind(peer, forwarded_for)).toBe(client);
  });

  it('without trusted proxies the header never counts', () => {
    expect(direct('10.1.2.3', '203.0.113.9')).toBe('10.1.2.3');
  });

  it('an IPv6 host is its /64, however it is written', () => {
    const written = ['2001:db8:0:1::5', '2001:0db8:0000:0001:ffff:1:2:3', '2001:db8:0:1:0:0:0:9'];
    expect(new Set(written.map((address) => direct(address, '')))).toEqual(new Set(['2001:db8:0:1::/64']));
  });
});
