import { connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { census, peerOf } from './census.ts';
import { createConnections } from './connections.ts';
import { createUnderWay } from './under-way.ts';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A limit of 8, and a census whose answer a test gives. */
function limited(options: { total_max?: number; proxy?: string } = {}) {
  let now = 0;
  let answer: ((found: Map<string, number> | undefined) => void) | undefined;
  const refused: string[] = [];
  const connections = createConnections({
    total_max: options.total_max ?? 1_000,
    per_address_max: 8,
    addressOf: (peer) => peer,
    isProxy: (peer) => peer === options.proxy,
    census: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
    refused: (why) => refused.push(why),
    now_ms: () => now,
  });
  return {
    connections,
    refused,
    come: (peer: string, count: number) =>
      Array.from({ length: count }, () => connections.opened(peer)).filter(Boolean).length,
    asked: () => answer !== undefined,
    async tell(found: Record<string, number> | undefined) {
      answer?.(found && new Map(Object.entries(found)));
      answer = undefined;
      await Promise.resolve();
      await Promise.resolve();
    },
    later: (ms: number) => {
      now += ms;
    },
  };
}

describe('connections', () => {
  it('one address has so many, and others are not the worse for it', async () => {
    const { come, tell, refused } = limited();
    expect(come('a', 8)).toBe(8);
    // While the system is being asked who has gone, an eighth more may come.
    expect(come('a', 20)).toBe(1);
    await tell({ a: 9 });
    expect(come('a', 20)).toBe(0);
    expect(come('b', 8)).toBe(8);
    expect(new Set(refused)).toEqual(new Set(['address']));
  });

  it('who has gone makes room: what is counted is put right by asking the system', async () => {
    const { come, tell, later, asked } = limited();
    come('a', 9);
    await tell({ a: 3 });
    expect(come('a', 5)).toBe(5);
    later(300);
    come('a', 1);
    expect(asked()).toBe(true);
    await tell({ a: 0 });
    expect(come('a', 8)).toBe(8);
  });

  it('does not ask the system over and over', async () => {
    const { come, tell, asked } = limited();
    come('a', 9);
    await tell({ a: 9 });
    come('a', 100);
    expect(asked()).toBe(false);
  });

  it('a proxy that we trust has as many as it wants', () => {
    const { come } = limited({ proxy: 'p' });
    expect(come('p', 500)).toBe(500);
  });

  it('in all there are as many as the system allows us', () => {
    const { come, connections, refused } = limited({ total_max: 20 });
    for (let i = 0; i < 30; i++) come(`address-${i}`, 1);
    expect(refused.filter((why) => why === 'all')).toHaveLength(10);
    // Those refused are closed, and are told as gone like any other.
    for (let i = 0; i < 15; i++) connections.closed();
    expect(connections.open()).toBe(15);
    expect(come('another', 1)).toBe(1);
  });

  it('where the system does not say who is connected, there is no limit per address', async () => {
    const { come, tell } = limited();
    come('a', 9);
    await tell(undefined);
    expect(come('a', 100)).toBe(100);
  });
});

describe('a census', () => {
  it.skipIf(process.platform !== 'linux')(
    'finds each address with its connections, and forgets those that have gone',
    async () => {
      const server = createServer((socket) => sockets.push(socket));
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { port } = server.address() as { port: number };
      const open = (localAddress: string) =>
        new Promise<Socket>((resolve) => {
          const socket = connect({ port, host: '127.0.0.1', localAddress }, () => resolve(socket));
          sockets.push(socket);
        });
      const [first] = await Promise.all([open('127.0.0.1'), open('127.0.0.1'), open('127.0.0.7')]);
      const now = async () => Object.fromEntries((await census(port, (peer) => peer)) ?? []);
      expect(await now()).toEqual({ '127.0.0.1': 2, '127.0.0.7': 1 });
      first.destroy();
      await expect.poll(now).toEqual({ '127.0.0.1': 1, '127.0.0.7': 1 });
      server.close();
    },
  );

  it('reads addresses as the kernel writes them', () => {
    const line = (remote: string, state: string) =>
      `   3: 0100007F:0BB8 ${remote} ${state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0`;
    expect(peerOf(line('0B00A8C0:C350', '01'), 3_000)).toBe('192.168.0.11');
    expect(peerOf(line('0B00A8C0:C350', '08'), 3_000)).toBe('192.168.0.11');
    // Closed by us, or another port: none of ours.
    expect(peerOf(line('0B00A8C0:C350', '06'), 3_000)).toBeUndefined();
    expect(peerOf(line('0B00A8C0:C350', '01'), 3_001)).toBeUndefined();
    expect(peerOf(line('B80D0120000000000000000001000000:C350', '01'), 3_000)).toBe('2001:db8:0:0:0:0:0:1');
    expect(peerOf('  sl  local_address rem_address   st', 3_000)).toBeUndefined();
  });
});

describe('requests under way', () => {
  it('of one client there are so many, and each that ends makes room', () => {
    const { enter, leave } = createUnderWay(2);
    expect([enter('a'), enter('a'), enter('a'), enter('b')]).toEqual([true, true, false, true]);
    leave('a');
    expect([enter('a'), enter('a')]).toEqual([true, false]);
  });
});
