/** wrk (in C, from Debian) where a client in JavaScript would be the limit. Closed loop: it sends as fast as it is answered. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { debianTool } from '../../../platform/local/debian-packages.ts';
import { childrenCpuSeconds } from '../cpu.ts';
import type { ClientResult, Load, Mode } from './client.ts';

type Told = Record<string, number>;

export type WrkLoad = Load & { mode: Mode; threads?: number };

/** A rival that is slow under many connections answers late, and that is no failure. */
const PATIENCE_S = 20;
const REQUESTS = fileURLToPath(new URL('./wrk-requests.lua', import.meta.url));

export async function runWrk(load: WrkLoad): Promise<ClientResult> {
  const { path, env } = await debianTool({ packages: ['wrk'], binary: 'usr/bin/wrk' });
  const { threads = 1 } = load;
  const cpu_before = childrenCpuSeconds();
  const child = spawn(
    path,
    [
      ...[
        '-t',
        String(threads),
        '-c',
        String(load.connections),
        '-d',
        `${load.seconds}s`,
        '--timeout',
        `${PATIENCE_S}s`,
      ],
      ...['-s', REQUESTS, load.url],
      ...['--', load.tokens_file, load.bodies_file, load.key_prefix, load.mode],
    ],
    { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const [code] = (await once(child, 'close')) as [number | null];
  const line = text.split('\n').find((one) => one.startsWith('{'));
  if (code !== 0 || !line) throw new Error(`wrk ended with ${code}:\n${text}`);
  const told = JSON.parse(line) as Told;
  const result = read(told, threads, childrenCpuSeconds() - cpu_before);
  return load.mode === 'mixed' ? { ...result, sent: sentOf(told) } : result;
}

const sentOf = ({ sent_new = 0, sent_retry = 0, sent_altered = 0, sent_invalid = 0 }: Told) => ({
  ...{ fresh: sent_new, retry: sent_retry, altered: sent_altered, invalid: sent_invalid },
});

function read(told: Told, threads: number, cpu_seconds: number): ClientResult {
  const of = (name: string) => told[name] ?? Number.NaN;
  const seconds = of('duration_us') / 1e6;
  const ms = (name: string) => of(name) / 1_000;
  return {
    requests: of('requests'),
    seconds,
    requests_per_s: of('requests') / seconds,
    not_2xx: of('not_2xx'),
    failed: of('connect') + of('read') + of('write') + of('timeout'),
    ...{ p50_ms: ms('p50_us'), p90_ms: ms('p90_us'), p99_ms: ms('p99_us'), p999_ms: ms('p999_us') },
    max_ms: ms('max_us'),
    client_idle: Math.max(0, 1 - cpu_seconds / (seconds * threads)),
  };
}
