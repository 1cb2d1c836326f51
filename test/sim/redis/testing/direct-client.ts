/** A simulated Redis without a network: for holding it against the real one. */
import type { Redis } from 'ioredis';
import { type Arg, methodsOver } from '../client.ts';
import type { SimRedisServer } from '../server.ts';

export function directClient(server: SimRedisServer): Redis {
  const call = async (name: string, args: readonly Arg[]) => server.command(name, args);
  return { status: 'ready', ...methodsOver(call) } as unknown as Redis;
}
