/** POST /demo/session: a random buyer for the demo sale. Only where the local stack has one. */
import { randomBytes } from 'node:crypto';
import { createSigner } from 'fast-jwt';
import { AUDIENCE } from '../access/caller.ts';
import { json } from '../reply.ts';
import type { Handler } from '../route.ts';

const SESSION_SECONDS = 4 * 3_600;

export function demoHandler(options: { jwt_secret: string; sale_id: string }): Handler<unknown> {
  const sign = createSigner({ key: options.jwt_secret, algorithm: 'HS256' });
  return () => {
    const sub = `demo-${randomBytes(9).toString('base64url')}`;
    const iat = Math.floor(Date.now() / 1000);
    // Where the buyer's mails go: into the mailbox of the local stack.
    const email = `${sub}@example.com`;
    const token = sign({ sub, email, role: 'buyer', aud: AUDIENCE, iat, exp: iat + SESSION_SECONDS });
    return json(200, { token, sale_id: options.sale_id });
  };
}
