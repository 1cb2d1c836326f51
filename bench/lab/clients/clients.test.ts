import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { runAutocannon } from './autocannon.ts';
import { runOpenLoop } from './open-loop.ts';

const dir = mkdtempSync(join(tmpdir(), 'stampede-clients-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const STALL_MS = 300;
const STALLS_AT = 100;

/** Answers at once; `stalls`: what comes within STALL_MS of request number STALLS_AT waits until that time is over. */
async function serve({ stalls }: { stalls: boolean }) {
  const [keys, tokens] = [new Set<unknown>(), new Set<unknown>()];
  let held: ServerResponse[] | undefined;
  let count = 0;
  const server = createServer((request, response) => {
    keys.add(request.headers['idempotency-key']);
    tokens.add(request.headers.authorization);
    request.resume();
    count += 1;
    if (stalls && count === STALLS_AT) {
      held = [];
      setTimeout(() => {
        for (const waiting of held ?? []) waiting.end('{}');
        held = undefined;
      }, STALL_MS);
    }
    response.writeHead(201, { 'content-length': 2 });
    if (held) held.push(response);
    else response.end('{}');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const [tokens_file, bodies_file] = [join(dir, 'tokens'), join(dir, 'bodies')];
  writeFileSync(tokens_file, 'one\ntwo\nthree');
  writeFileSync(bodies_file, '{"a":1}');
  const url = `http://127.0.0.1:${port}/v1/checkout`;
  const load = { url, tokens_file, bodies_file, key_prefix: 'test', seconds: 1 };
  return { keys, tokens, load };
}

test('a stall is charged with everybody who was due meanwhile', async () => {
  const { load, keys, tokens } = await serve({ stalls: true });
  const result = await runOpenLoop({ ...load, rate: 500, connections: 400 });
  expect(result).toMatchObject({ requests: 500, not_2xx: 0, failed: 0, schedule: { unsent: 0 } });
  expect(result.p90_ms).toBeGreaterThan(STALL_MS / 3);
  expect([keys.size, tokens.size]).toEqual([500, 3]);
});

test('also where there was no connection left to send them: they are late, and it shows', async () => {
  const { load } = await serve({ stalls: true });
  const result = await runOpenLoop({ ...load, rate: 500, connections: 2 });
  expect(result).toMatchObject({ requests: 500, failed: 0, schedule: { unsent: 0 } });
  expect(result.p90_ms).toBeGreaterThan(STALL_MS / 3);
  expect(result.schedule.late_p99_ms).toBeGreaterThan(STALL_MS / 3);
});

test('autocannon sends every request under a key of its own', async () => {
  const { load, keys, tokens } = await serve({ stalls: false });
  const result = await runAutocannon({ ...load, connections: 4 });
  expect(result).toMatchObject({ not_2xx: 0, failed: 0 });
  expect(result.requests).toBeGreaterThan(0);
  // Some were on their way when it ended.
  expect(keys.size).toBeGreaterThanOrEqual(result.requests);
  expect(tokens.size).toBe(3);
});
