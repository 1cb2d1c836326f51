import { expect, it } from 'vitest';
import { createLog } from './log.ts';

const CANARY = 'canary-7f3a';

function logged(write: (log: ReturnType<typeof createLog>) => void): string {
  let text = '';
  const append = (line: string) => {
    text += line;
  };
  write(createLog({ level: 'trace', service: 'test', destination: { write: append } }));
  return text;
}

it('blanks tokens, addresses and Authorization, up to two levels down', () => {
  const text = logged((log) => {
    log.info({ authorization: `Bearer ${CANARY}` }, 'flat');
    log.info({ headers: { authorization: CANARY }, order: { payment_method: { token: CANARY } } }, 'nested');
    log.info({ request: { order: { shipping_address: { line1: CANARY } } } }, 'deep');
  });
  expect(text).toContain('[redacted]');
  expect(text).not.toContain(CANARY);
});

it('keeps of an error what it says, not the command a client hung on it', () => {
  const error = Object.assign(new Error('connection lost', { cause: new Error('reset') }), {
    code: 'ECONNRESET',
    command: { name: 'evalsha', args: [CANARY] },
    detail: CANARY,
  });
  const text = logged((log) => log.error({ err: error }, 'failed'));
  expect(JSON.parse(text)).toMatchObject({
    level: 'error',
    service: 'test',
    msg: 'failed',
    err: { message: 'connection lost', code: 'ECONNRESET', cause: { message: 'reset' } },
  });
  expect(text).not.toContain(CANARY);
});
