/** See autocannon.ts. */
import autocannon from 'autocannon';
import { idleOfMainThread } from '../cpu.ts';
import type { AutocannonLoad } from './autocannon.ts';
import type { ClientResult } from './client.ts';
import { serveLoad } from './forked.ts';
import { createRequests } from './requests.ts';

async function run(load: AutocannonLoad): Promise<ClientResult> {
  const { rate, corrected = true } = load;
  const requests = createRequests(load);
  const idle = idleOfMainThread();
  const told = await autocannon({
    url: load.url,
    connections: load.connections,
    duration: load.seconds,
    ...(rate ? { overallRate: rate, ignoreCoordinatedOmission: !corrected } : {}),
    requests: [
      {
        method: 'POST',
        path: requests.path,
        setupRequest(request) {
          const { token, key, body } = requests.next();
          const headers = {
            'content-type': 'application/json',
            authorization: `Bearer ${token}`,
            'idempotency-key': key,
          };
          return { ...request, headers, body };
        },
      },
    ],
  });
  const { latency } = told;
  const answered = told['2xx'] + told.non2xx;
  return {
    requests: answered,
    seconds: told.duration,
    requests_per_s: answered / told.duration,
    not_2xx: told.non2xx,
    failed: told.errors + told.timeouts,
    ...{ p50_ms: latency.p50, p90_ms: latency.p90, p99_ms: latency.p99, p999_ms: latency.p99_9 },
    max_ms: latency.max,
    client_idle: idle(),
  };
}

serveLoad(run);
