/**
 * POST to a URL that somebody else chose, so that it can reach nobody inside (SSRF): the name is resolved once a
 * connection, every address of the answer must be public, and the connection goes to one of these and is not resolved
 * again. Redirects are not followed, the answer is read to a bound, and all of it has one time limit.
 */
import { lookup as dnsLookup } from 'node:dns/promises';
import {
  type ClientRequest,
  type IncomingMessage,
  Agent as PlainAgent,
  request as plainRequest,
} from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { addressFault } from './public-address.ts';
import { hostOf, parseTarget } from './target-url.ts';

export type Posted =
  /** Somebody answered. */
  | { kind: 'answered'; status: number; retry_after?: string }
  /** Nobody was asked: the target is one that must not be. */
  | { kind: 'refused'; reason: string }
  /** No answer: not reached, not trusted, too slow. */
  | { kind: 'failed'; reason: string };

export type Address = { address: string; family: number };

export type GuardedPostOptions = {
  /** For development: targets on this machine, and http:// to them. */
  local: boolean;
  /** All addresses of a name. Default: the system's resolver. */
  resolve?: (host: string) => Promise<readonly Address[]>;
  /** Certificates to trust instead of the system's. */
  ca?: string;
  /** From the name to the end of the answer, ms. */
  timeout_ms?: number;
};

export type GuardedPost = {
  /** Never rejects. */
  post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<Posted>;
  close(): void;
};

const TIMEOUT_MS = 15_000;
/** What is more of an answer is not read. */
export const ANSWER_BYTES_MAX = 64 * 1024;
/** A connection nobody uses is kept for so long. */
const IDLE_MS = 10_000;

class TargetRefused extends Error {}

export function createGuardedPost(options: GuardedPostOptions): GuardedPost {
  const { local, timeout_ms = TIMEOUT_MS, ca } = options;
  const resolve = options.resolve ?? ((host) => dnsLookup(host, { all: true, order: 'verbatim' }));

  /** What the connection takes as the name's addresses: checked here, and asked for nowhere else. */
  const lookup: LookupFunction = (host, { all }, done) => {
    resolve(host).then(
      (found) => {
        const wrong = found.map(({ address }) => addressFault(address, { loopback: local })).find(Boolean);
        if (found.length === 0) done(new Error(`${host} has no address`), '');
        else if (wrong) done(new TargetRefused(`an address of the host ${wrong}`), '');
        else if (all) done(null, [...found]);
        else done(null, found[0].address, found[0].family);
      },
      (error: NodeJS.ErrnoException) => done(error, ''),
    );
  };
  const settings = { keepAlive: true, timeout: IDLE_MS, scheduling: 'lifo', lookup } as const;
  const plain = new PlainAgent(settings);
  const tls = new TlsAgent({ ...settings, ca, minVersion: 'TLSv1.2' });

  function send(
    url: URL,
    headers: Readonly<Record<string, string>>,
    body: string,
    signal: AbortSignal,
  ): Promise<Posted | 'stale'> {
    return new Promise((settle) => {
      const given = {
        method: 'POST',
        signal,
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
      };
      const request: ClientRequest =
        url.protocol === 'https:'
          ? tlsRequest(url, { ...given, agent: tls })
          : plainRequest(url, { ...given, agent: plain });
      const failed = (error: NodeJS.ErrnoException) => {
        if (error instanceof TargetRefused) settle({ kind: 'refused', reason: error.message });
        else if (signal.aborted) settle({ kind: 'failed', reason: `no answer in ${timeout_ms} ms` });
        // A connection that was kept, and that the other side closed meanwhile.
        else if (request.reusedSocket && error.code === 'ECONNRESET') settle('stale');
        else settle({ kind: 'failed', reason: wordsOf(error) });
      };
      request.on('error', failed);
      request.on('response', (response: IncomingMessage) => {
        const { statusCode: status = 0, headers: told } = response;
        const answered: Posted = { kind: 'answered', status, retry_after: told['retry-after'] };
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes <= ANSWER_BYTES_MAX) return;
          settle(answered);
          request.destroy();
        });
        response.on('end', () => settle(answered));
        response.on('error', failed);
      });
      request.end(body);
    });
  }

  return {
    async post(text, headers, body) {
      const target = parseTarget(text, { local });
      if ('fault' in target) return { kind: 'refused', reason: `the URL ${target.fault}` };
      const host = hostOf(target.url);
      // Numbers are not looked up, so nobody would check them.
      const wrong = isIP(host) === 0 ? undefined : addressFault(host, { loopback: local });
      if (wrong) return { kind: 'refused', reason: `the host ${wrong}` };
      const signal = AbortSignal.timeout(timeout_ms);
      let posted = await send(target.url, headers, body, signal);
      // As many times as connections are kept, at most; the time is the same for all.
      while (posted === 'stale') posted = await send(target.url, headers, body, signal);
      return posted;
    },
    close() {
      plain.destroy();
      tls.destroy();
    },
  };
}

/** Codes of Node and OpenSSL, without addresses or anything that the other side said. */
function wordsOf(error: NodeJS.ErrnoException): string {
  const inner = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error;
  return inner.code ? `the connection failed: ${inner.code}` : 'the connection failed';
}
