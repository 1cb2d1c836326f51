/**
 * The shop that most would write in Node: Fastify with its own schema check, a JWT, a pool of Postgres connections and a row lock.
 * Nothing of the engine's. As a process: DATABASE_URL, JWT_SECRET, PORT, POOL_SIZE; says `ready`.
 */
import { createVerifier } from 'fast-jwt';
import Fastify from 'fastify';
import pg from 'pg';
import { requestFingerprint } from '../../../domain/fingerprint.ts';
import { types } from '../../../platform/postgres.ts';
import { buy, type Outcome } from './buy.ts';
import { CHECKOUT, type Checkout } from './schema.ts';

const pool = new pg.Pool({
  ...{ connectionString: process.env.DATABASE_URL, max: Number(process.env.POOL_SIZE ?? 16), types },
  application_name: 'baseline',
  // Who waits for a connection waits: giving up would be another shop's answer.
  connectionTimeoutMillis: 0,
});
pool.on('error', () => {});
const verify = createVerifier({
  ...{ key: process.env.JWT_SECRET ?? '', algorithms: ['HS256'], cache: false },
  ...{ allowedAud: 'stampede', requiredClaims: ['sub', 'exp', 'aud'] },
});

const outcomes = new Map<Outcome | 'internal_error', number>();
const count = (outcome: Outcome | 'internal_error') =>
  outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);

const app = Fastify({ logger: false, bodyLimit: 16_384 });
app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
  const status = error.statusCode ?? 500;
  if (status >= 500) count('internal_error');
  return reply.code(status).send({ code: status >= 500 ? 'internal_error' : 'invalid_request' });
});

app.post<{ Body: Checkout }>('/v1/checkout', { schema: { body: CHECKOUT } }, async (request, reply) => {
  const buyer = buyerOf(request.headers.authorization);
  if (!buyer) return reply.code(401).send({ code: 'unauthorized' });
  const key = request.headers['idempotency-key'];
  if (typeof key !== 'string' || key.length < 16 || key.length > 255)
    return reply.code(400).send({ code: 'idempotency_key_required' });
  const { body } = request;
  const fingerprint = requestFingerprint('POST /v1/checkout', body);
  const answer = await buy(pool, { buyer, key, fingerprint, body });
  count(answer.outcome);
  return reply.code(answer.status).send(answer.body);
});

/** As the engine tells it: lab/counts.ts reads both. */
app.get('/metrics', () =>
  [...outcomes].map(([outcome, n]) => `stampede_checkout_total{outcome="${outcome}"} ${n}`).join('\n'),
);

function buyerOf(authorization: string | undefined): string | undefined {
  if (!authorization?.startsWith('Bearer ')) return undefined;
  try {
    const { sub, role } = verify(authorization.slice(7)) as { sub: string; role: string };
    return role === 'buyer' ? sub : undefined;
  } catch {
    return undefined;
  }
}

await app.listen({ port: Number(process.env.PORT), host: '127.0.0.1' });
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
