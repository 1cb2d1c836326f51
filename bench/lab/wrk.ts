/** wrk (in C, from Debian) where a client in JavaScript would be the limit. Closed loop: it sends as fast as it is answered. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { debianTool } from '../../platform/local/debian-packages.ts';
import { childrenCpuSeconds } from './cpu.ts';

export type WrkLoad = {
  url: string;
  /** One a line; requests take them in turn. */
  bodies_file: string;
  /** One a line. */
  tokens_file: string;
  /** Begins every Idempotency-Key. At least 4 characters, no `-` at the end. */
  key_prefix: string;
  mode: 'unique' | 'replay';
  seconds: number;
  connections: number;
  threads?: number;
};

export type WrkResult = {
  requests: number;
  seconds: number;
  requests_per_s: number;
  /** Answers that were no 2xx. */
  not_2xx: number;
  /** Connections refused or broken, and answers that took longer than 2 s. */
  failed: number;
  p50_ms: number;
  p90_ms: number;
  p99_ms: number;
  p999_ms: number;
  max_ms: number;
  /** Share of the time that the client's threads waited: near 0 the client is the ceiling. */
  client_idle: number;
};

const REQUESTS = fileURLToPath(new URL('./wrk-requests.lua', import.meta.url));

export async function runWrk(load: WrkLoad): Promise<WrkResult> {
  const { path, env } = await debianTool({ packages: ['wrk'], binary: 'usr/bin/wrk' });
  const { threads = 1 } = load;
  const cpu_before = childrenCpuSeconds();
  const child = spawn(
    path,
    [
      ...['-t', String(threads), '-c', String(load.connections), '-d', `${load.seconds}s`],
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
  return read(line, threads, childrenCpuSeconds() - cpu_before);
}

function read(line: string, threads: number, cpu_seconds: number): WrkResult {
  const told = JSON.parse(line) as Record<string, number>;
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
