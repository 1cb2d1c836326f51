/** Requests of the scenarios: bodies on disk, keys that no other run has used. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Load, Mode } from '../lab/clients/client.ts';
import { runWrk } from '../lab/clients/wrk.ts';
import { type Measurement, measure, type Spot } from '../lab/measure.ts';
import { skuName } from '../lab/world.ts';
import type { Lab } from './scenario.ts';

let runs = 0;

/** A prefix for the keys of one run; a process makes each once. */
export const newKeys = (): string => `bench-${process.pid}-${runs++}`;

/** Bodies of one unit of each of `lines` SKUs, taken from `skus` of them in turn, each `apart` from the one before. A file, one a line. */
export function bodiesFile(lab: Lab, sale_id: string, skus = 1, lines = 1, apart = 1): string {
  const bodies = Array.from({ length: skus }, (_, i) =>
    checkoutJson(
      sale_id,
      Array.from({ length: lines }, (__, line) => skuName(((i + line) % skus) * apart)),
    ),
  );
  const file = join(lab.dir, `bodies-${sale_id}`);
  writeFileSync(file, bodies.join('\n'));
  return file;
}

/** The body of a checkout of one unit of each of these. */
export function checkoutJson(sale_id: string, skus: readonly string[]): string {
  return JSON.stringify({
    sale_id,
    items: skus.map((sku) => ({ sku, qty: 1 })),
    payment_method: { type: 'card', token: 'pm_ok' },
    shipping_address: {
      ...{ name: 'Bench Buyer', line1: '1 Main St', city: 'Springfield' },
      ...{ postal_code: '12345', country: 'US' },
    },
  });
}

export type Run = { key_prefix?: string; mode?: Mode; seconds?: number };

/** By wrk, as fast as it is answered. */
export function run(lab: Lab, spot: Spot, bodies_file: string, more: Run = {}): Promise<Measurement> {
  const { mode = 'unique' } = more;
  return measure(spot, (url) => runWrk({ ...loadOf(lab, url, bodies_file, more), mode }));
}

/** What any client needs to know. */
export function loadOf(lab: Lab, url: string, bodies_file: string, more: Omit<Run, 'mode'> = {}): Load {
  const { key_prefix = newKeys(), seconds = lab.seconds } = more;
  const { tokens_file, connections } = lab;
  return { url, tokens_file, bodies_file, key_prefix, seconds, connections };
}
