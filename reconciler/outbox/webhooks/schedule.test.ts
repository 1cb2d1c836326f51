import { describe, expect, it } from 'vitest';
import { RETRY_AFTER_MS, retryAfterMs, retryDelayMs, TRIES_MAX } from './schedule.ts';

describe('when a webhook is tried again', () => {
  it('is the schedule of Standard Webhooks, then never', () => {
    expect(RETRY_AFTER_MS.map((ms) => ms / 1000)).toEqual([
      5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
    ]);
    for (let tries = 1; tries < TRIES_MAX; tries++) {
      expect(retryDelayMs(tries, 0.5)).toBe(RETRY_AFTER_MS[tries - 1]);
    }
    expect(retryDelayMs(TRIES_MAX, 0.5)).toBeNull();
    expect(retryDelayMs(TRIES_MAX, 0.5, 60_000)).toBeNull();
  });

  it('is spread by a tenth to either side', () => {
    expect(retryDelayMs(2, 0)).toBe(270_000);
    expect(retryDelayMs(2, 1)).toBe(330_000);
  });

  it('is later where the receiver asks for it, within a day, and never sooner', () => {
    expect(retryDelayMs(1, 0.5, 60_000)).toBe(60_000);
    expect(retryDelayMs(2, 0.5, 1_000)).toBe(300_000);
    expect(retryDelayMs(1, 0.5, 10 * 86_400_000)).toBe(86_400_000);
  });
});

describe('Retry-After', () => {
  const now = Date.UTC(2027, 0, 31, 12);

  it('is seconds or a date', () => {
    expect(retryAfterMs('120', now)).toBe(120_000);
    expect(retryAfterMs(' 7 ', now)).toBe(7_000);
    expect(retryAfterMs('Sun, 31 Jan 2027 12:05:00 GMT', now)).toBe(300_000);
  });

  it.each([undefined, '', '-5', '1.5', 'soon', 'Sun, 31 Jan 2027 11:00:00 GMT', '99999999999'])(
    'says nothing as %j',
    (header) => {
      expect(retryAfterMs(header, now)).toBe(0);
    },
  );
});
