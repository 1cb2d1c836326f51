import { createServer } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Address, ANSWER_BYTES_MAX, createGuardedPost, type GuardedPost } from './guarded-post.ts';
import { type Authority, createAuthority } from './testing/authority.ts';
import { type Receiver, startReceiver } from './testing/receiver.ts';

const HOST = 'hooks.shop.example';
const LOOPBACK: Address = { address: '127.0.0.1', family: 4 };
const PUBLIC: Address = { address: '8.8.8.8', family: 4 };

let authority: Authority;
let receiver: Receiver;
const open: GuardedPost[] = [];
beforeAll(async () => {
  authority = createAuthority([HOST, 'localhost']);
  receiver = await startReceiver(authority);
});
beforeEach(() => {
  receiver.received.length = 0;
  receiver.answer(204);
});
afterAll(async () => {
  for (const one of open) one.close();
  await receiver.close();
});

/** Like a deployment, but for the switch of development: the receiver is on this machine. */
function poster(options: Partial<Parameters<typeof createGuardedPost>[0]> = {}): GuardedPost {
  const made = createGuardedPost({
    ...{ local: true, ca: authority.ca, timeout_ms: 5_000 },
    resolve: async () => [LOOPBACK],
    ...options,
  });
  open.push(made);
  return made;
}

const url = (path = '/hook', host = HOST) => `https://${host}:${receiver.port}${path}`;

describe('a guarded POST', () => {
  test('reaches a server whose certificate is for the name in the URL', async () => {
    const posted = await poster().post(url('/hook?a=b'), { 'x-name': 'value' }, '{"ü":1}');
    expect(posted).toEqual({ kind: 'answered', status: 204, retry_after: undefined });
    expect(receiver.received).toMatchObject([
      {
        path: '/hook?a=b',
        body: '{"ü":1}',
        headers: { 'x-name': 'value', host: `${HOST}:${receiver.port}` },
      },
    ]);
  });

  test('trusts no certificate for another name, and none that nobody signed', async () => {
    expect(await poster().post(url('/', 'other.shop.example'), {}, '')).toEqual({
      kind: 'failed',
      reason: 'the connection failed: ERR_TLS_CERT_ALTNAME_INVALID',
    });
    const posted = await poster({ ca: undefined }).post(url(), {}, '');
    expect(posted).toMatchObject({
      kind: 'failed',
      reason: expect.stringMatching(/CERT|SIGNATURE|SELF_SIGNED/),
    });
    expect(receiver.received).toEqual([]);
  });

  test('opens no connection where an address of the name is not public', async () => {
    const before = receiver.connections();
    for (const resolved of [
      [LOOPBACK],
      [PUBLIC, LOOPBACK],
      [PUBLIC, { address: '::1', family: 6 }],
      [{ address: '169.254.169.254', family: 4 }],
      [{ address: '::ffff:127.0.0.1', family: 6 }],
    ]) {
      const posted = await poster({ local: false, resolve: async () => resolved }).post(url(), {}, '');
      expect(posted).toMatchObject({ kind: 'refused', reason: expect.stringContaining('is not public') });
    }
    expect(receiver.connections()).toBe(before);
  });

  test('does not look up numbers, and judges them all the same', async () => {
    const one = poster({ local: false });
    for (const host of ['127.0.0.1', '[::1]', '2130706433', '[::ffff:7f00:1]', 'localhost']) {
      const posted = await one.post(`https://${host}:${receiver.port}/`, {}, '');
      expect([host, posted.kind]).toEqual([host, 'refused']);
    }
    expect(receiver.received).toEqual([]);
  });

  test('connects to the address that was judged: a name that then leads elsewhere gains nothing', async () => {
    // What rebinding does: the first answer is harmless, the next one leads inside.
    let asked = 0;
    const rebinding = async () => {
      asked += 1;
      return asked === 1 ? [PUBLIC] : [LOOPBACK];
    };
    const one = poster({ local: false, resolve: rebinding, timeout_ms: 400 });
    const before = receiver.connections();
    // It goes to the public address, which has nothing for us here, and nowhere else.
    expect((await one.post(url(), {}, '')).kind).toBe('failed');
    expect(asked).toBe(1);
    // The next connection asks again, and is judged again.
    expect(await one.post(url(), {}, '')).toMatchObject({ kind: 'refused' });
    expect(asked).toBe(2);
    expect(receiver.connections()).toBe(before);
  });

  test('uses a connection again that it has, which was judged when it was made', async () => {
    let asked = 0;
    const one = poster({
      resolve: async () => {
        asked += 1;
        return [LOOPBACK];
      },
    });
    for (let i = 0; i < 3; i++) expect((await one.post(url(), {}, '')).kind).toBe('answered');
    expect(asked).toBe(1);
  });

  test('takes a new connection where the one it kept was closed meanwhile', async () => {
    const one = poster();
    expect((await one.post(url(), {}, '')).kind).toBe('answered');
    // Closed as the next request arrives on it, unanswered.
    let reset = true;
    receiver.answer((_request, response) => {
      if (!reset) return 204;
      reset = false;
      response.socket?.destroy();
      return undefined;
    });
    expect(await one.post(url(), {}, '')).toMatchObject({ kind: 'answered', status: 204 });
    expect(receiver.received).toHaveLength(3);
  });

  test('does not follow redirects', async () => {
    receiver.answer(({ path }) =>
      path === '/hook' ? { status: 302, headers: { location: 'https://127.0.0.1/inside' } } : 204,
    );
    expect(await poster().post(url(), {}, '')).toMatchObject({ kind: 'answered', status: 302 });
    expect(receiver.received.map((one) => one.path)).toEqual(['/hook']);
  });

  test('gives up in its time, whichever part takes too long', async () => {
    const late = { kind: 'failed', reason: expect.stringContaining('answer in 300 ms') };
    // The name is never resolved.
    const silent = poster({ timeout_ms: 300, resolve: () => new Promise(() => {}) });
    expect(await silent.post(url(), {}, '')).toMatchObject(late);
    // Connected, and no TLS.
    const mute = createServer(() => {});
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as { port: number };
    const one = poster({ timeout_ms: 300 });
    expect(await one.post(`https://${HOST}:${port}/`, {}, '')).toMatchObject(late);
    mute.close();
    // No answer.
    receiver.answer(() => undefined);
    expect(await one.post(url(), {}, '')).toMatchObject(late);
    // An answer that drips.
    receiver.answer((_request, response) => {
      response.writeHead(200);
      const dripping = setInterval(() => response.write('.'), 20);
      response.on('close', () => clearInterval(dripping));
      return undefined;
    });
    expect(await one.post(url(), {}, '')).toMatchObject(late);
  });

  test('reads no more of an answer than its bound', async () => {
    let written = 0;
    receiver.answer((_request, response) => {
      response.writeHead(200);
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(16 * 1024))) written += 16 * 1024;
      };
      response.on('drain', more);
      more();
      return undefined;
    });
    expect(await poster().post(url(), {}, '')).toMatchObject({ kind: 'answered', status: 200 });
    expect(written).toBeLessThan(ANSWER_BYTES_MAX + 8 * 1024 * 1024);
  });

  test('tells of a receiver that hangs up, is not there, or speaks something else', async () => {
    receiver.answer((_request, response) => {
      response.socket?.destroy();
      return undefined;
    });
    expect(await poster().post(url(), {}, '')).toMatchObject({ kind: 'failed' });
    const gone = await startReceiver(authority);
    await gone.close();
    expect(await poster().post(`https://${HOST}:${gone.port}/`, {}, '')).toEqual({
      kind: 'failed',
      reason: 'the connection failed: ECONNREFUSED',
    });
    const plain = await startReceiver();
    expect(await poster().post(`https://${HOST}:${plain.port}/`, {}, '')).toMatchObject({ kind: 'failed' });
    await plain.close();
    const nobody = poster({ resolve: async () => [] });
    expect(await nobody.post(url(), {}, '')).toMatchObject({ kind: 'failed' });
  });

  test('speaks http to this machine where development allows it, and nowhere else', async () => {
    const plain = await startReceiver();
    const there = `http://127.0.0.1:${plain.port}/hook`;
    expect(await poster().post(there, {}, '')).toMatchObject({ kind: 'answered', status: 204 });
    expect(await poster({ local: false }).post(there, {}, '')).toMatchObject({ kind: 'refused' });
    await plain.close();
  });

  test('passes on what the receiver asks for', async () => {
    receiver.answer(() => ({ status: 503, headers: { 'retry-after': '120' } }));
    expect(await poster().post(url(), {}, '')).toEqual({ kind: 'answered', status: 503, retry_after: '120' });
  });
});
