/** docs/webhooks.md says what is there. */
import { readFileSync } from 'node:fs';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { EVENT_TYPES, TEST_EVENT_TYPE } from '../../domain/event-types.ts';
import { createOutboxMetrics } from './metrics.ts';
import { createWebhookMetrics } from './webhooks/metrics.ts';
import { RETRY_AFTER_MS } from './webhooks/schedule.ts';

const text = readFileSync(new URL('../../docs/webhooks.md', import.meta.url), 'utf8');

describe('docs/webhooks.md', () => {
  it('has a row for every type of event, and for no other', () => {
    const rows = [...text.matchAll(/^\| `([a-z_]+\.[a-z_]+)` \|/gm)].map(([, type]) => type);
    expect(rows.sort()).toEqual([...EVENT_TYPES, TEST_EVENT_TYPE].sort());
  });

  it('names every metric', () => {
    const registry = new Registry();
    createOutboxMetrics(registry);
    createWebhookMetrics(registry);
    for (const { name } of registry.getMetricsAsArray()) expect(text).toContain(`\`${name}`);
  });

  it('has the schedule', () => {
    const words = RETRY_AFTER_MS.map((ms) => {
      const seconds = ms / 1000;
      if (seconds < 60) return `${seconds} s`;
      return seconds < 3_600 ? `${seconds / 60} min` : `${seconds / 3_600} h`;
    });
    expect(text).toContain(words.join(', '));
  });
});
