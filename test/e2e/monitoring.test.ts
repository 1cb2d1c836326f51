import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { freePort } from '../../platform/local/ports.ts';
import { lastWill } from '../support/last-will.ts';
import { prometheusTools } from '../support/promtool.ts';
import { eventually } from './support/books.ts';
import { buyAll, buyersOf, createSale } from './support/buyers.ts';
import { dataFolder, type RunningStack, startStack } from './support/stack.ts';

type Panel = { title: string; targets?: { expr: string }[] };
type Rules = { groups: { rules: { record?: string; alert?: string; expr: string }[] }[] };

const ops = fileURLToPath(new URL('../../ops/', import.meta.url));
const dashboard = JSON.parse(readFileSync(`${ops}grafana/dashboards/stampede.json`, 'utf8')) as {
  panels: Panel[];
};
const rules = (parse(readFileSync(`${ops}prometheus/alerts.yml`, 'utf8')) as Rules).groups.flatMap(
  (g) => g.rules,
);
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => ({ title, expr })),
);
const tools = prometheusTools();

const folder = dataFolder();
let stack: RunningStack;
let reconciler_url: string;

beforeAll(async () => {
  stack = await startStack(folder.path);
  reconciler_url = stack.output().match(/and (http:\S+)\/metrics/)?.[1] ?? '';
  // Something of everything: accepted, refused, paid, and a webhook that is not genuine.
  await fetch(`${stack.url}/v1/webhooks/sandbox`, { method: 'POST', body: '{}' });
  const sale = await createSale(stack, 'monitored', 20);
  await buyAll(stack.api, sale, buyersOf(sale, 60), { lanes: 10, patience_ms: 20_000 });
});

afterAll(async () => {
  await stack?.stop();
  folder.remove();
});

async function scrape(): Promise<string> {
  const answers = await Promise.all([stack.url, reconciler_url].map((url) => fetch(`${url}/metrics`)));
  return (await Promise.all(answers.map((answer) => answer.text()))).join('\n');
}

/** Metrics in a PromQL expression, without the suffixes that a histogram's samples have. */
function metricsIn(expr: string): string[] {
  const names = expr.match(/\b(?:stampede|nodejs|process)_\w+/g) ?? [];
  return names.map((name) => name.replace(/(?<=_seconds|_size)_(bucket|sum|count)$/, ''));
}

describe('what Grafana and the alerts ask for', () => {
  test('are metrics that engine and reconciler have', async () => {
    const text = await scrape();
    const told = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]));
    const wanted = [...queries, ...rules].flatMap(({ expr }) => metricsIn(expr));
    expect(new Set(wanted).size).toBeGreaterThan(20);
    expect([...new Set(wanted)].filter((name) => !told.has(name))).toEqual([]);
    // And what the page of numbers records itself.
    const recorded = new Set(rules.map(({ record }) => record));
    const aggregated = queries.flatMap(({ expr }) => expr.match(/\bstampede:[\w:]+/g) ?? []);
    expect(aggregated.filter((name) => !recorded.has(name))).toEqual([]);
  });

  test('leave none of our metrics unseen', async () => {
    const told = [...(await scrape()).matchAll(/^# TYPE (stampede_\S+)/gm)].map(
      (match) => match[1] as string,
    );
    const shown = new Set(queries.flatMap(({ expr }) => metricsIn(expr)));
    expect(told.filter((name) => !shown.has(name))).toEqual([]);
  });
});

describe.runIf(tools)('a real Prometheus over a running stack', () => {
  const home = mkdtempSync(join(tmpdir(), 'stampede-prometheus-'));
  let prometheus: ChildProcess;
  let revoke: () => void;
  let url: string;

  beforeAll(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    const job = (name: string, target: string) => ({
      job_name: name,
      static_configs: [{ targets: [new URL(target).host] }],
    });
    // JSON is YAML.
    const config = {
      global: { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' },
      rule_files: [`${ops}prometheus/alerts.yml`],
      scrape_configs: [job('engine', stack.url), job('reconciler', reconciler_url)],
    };
    writeFileSync(join(home, 'prometheus.yml'), JSON.stringify(config));
    prometheus = spawn(
      tools?.prometheus ?? '',
      [
        `--config.file=${home}/prometheus.yml`,
        `--storage.tsdb.path=${home}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      { stdio: 'ignore' },
    );
    revoke = lastWill([prometheus.pid ?? 0], home);
    // Two samples make a rate.
    await eventually(
      'samples',
      20_000,
      () => ask<unknown[]>('sum(count_over_time(stampede_orders[1m])) > 20').catch(() => []),
      (result) => result.length > 0,
    );
    // A recorded rule is there once it was evaluated over two samples of the engine.
    await eventually(
      'recorded rules',
      30_000,
      () =>
        ask<unknown[]>(
          'stampede:checkout_errors:ratio_rate1h and on() stampede:payment_errors:ratio_rate1h and on() stampede:capture_success:ratio_rate5m',
        ).catch(() => []),
      (result) => result.length > 0,
    );
  });

  afterAll(async () => {
    const exited = once(prometheus, 'exit');
    prometheus.kill('SIGTERM');
    await exited;
    revoke();
    rmSync(home, { recursive: true, force: true });
  });

  async function get<T>(path: string): Promise<T> {
    const answer = (await (await fetch(url + path)).json()) as { status: string; data: T; error?: string };
    if (answer.status !== 'success') throw new Error(answer.error);
    return answer.data;
  }

  const ask = async <T>(expr: string): Promise<T> =>
    (await get<{ result: T }>(`/api/v1/query?query=${encodeURIComponent(expr)}`)).result;

  test('answers every query of the dashboard', async () => {
    const text = await scrape();
    const sampled = (name: string) => new RegExp(`^${name}(_bucket|_sum|_count)?(\\{.*)? `, 'm').test(text);
    const empty: string[] = [];
    for (const { title, expr } of queries) {
      const filled = expr.replaceAll('$__rate_interval', '30s').replaceAll('$__range', '5m');
      const result = await ask<unknown[]>(filled);
      // A counter with labels has no sample before the first time; there is nothing to show then.
      if (result.length === 0 && metricsIn(expr).every(sampled)) empty.push(`${title}: ${expr}`);
    }
    expect(empty).toEqual([]);
  });

  test('evaluates every rule, and finds nothing to complain about', async () => {
    type State = { name: string; health: string; type: string; state?: string };
    const all = async () =>
      (await get<{ groups: { rules: State[] }[] }>('/api/v1/rules')).groups.flatMap((group) => group.rules);
    const evaluated = await eventually('rules', 20_000, all, (found) =>
      found.every(({ health }) => health !== 'unknown'),
    );
    expect(evaluated).toHaveLength(rules.length);
    expect(evaluated.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(evaluated.filter(({ state }) => state === 'firing').map(({ name }) => name)).toEqual([]);
  });
});
