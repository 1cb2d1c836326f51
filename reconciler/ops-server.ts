/** The reconciler's own small HTTP: /metrics, /livez, /readyz. */
import { createServer, type Server } from 'node:http';
import { METRICS_CONTENT_TYPE, type Metrics } from '../platform/metrics.ts';

export type OpsServerOptions = {
  port: number;
  host: string;
  registry: Metrics;
  /** Null when ready, else what is missing. */
  notReady: () => string | null;
};

/** Resolves when it listens. */
export function startOpsServer(options: OpsServerOptions): Promise<Server> {
  const { registry, notReady } = options;
  const server = createServer((request, response) => {
    const send = (status: number, body: string, type = 'text/plain; charset=utf-8') => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
    };
    const path = request.url?.split('?')[0];
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'method not allowed\n');
    if (path === '/livez') return send(200, 'ok\n');
    if (path === '/readyz') {
      const missing = notReady();
      return missing === null ? send(200, 'ok\n') : send(503, `${missing}\n`);
    }
    if (path !== '/metrics') return send(404, 'not found\n');
    registry.metrics().then(
      (text) => send(200, text, METRICS_CONTENT_TYPE),
      () => send(500, 'metrics failed\n'),
    );
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve(server);
    });
  });
}
