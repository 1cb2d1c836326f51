/**
 * Finds a Redis to run: on the PATH, or one fetched before. Where there is none, and this is Debian or
 * Ubuntu, fetches the distribution's packages and unpacks them into our own cache.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { debianTool, type Tool } from './debian-packages.ts';

const run = promisify(execFile);

export type RedisBinary = Tool & { version: string };

const HOW_TO_GET_REDIS = [
  'Stampede needs Redis 7 or newer (or Valkey) and found none. Any of these will do:',
  '  Debian, Ubuntu:  sudo apt-get install redis-server',
  '  macOS:           brew install redis',
  '  Docker:          docker compose up',
  '  your own:        REDIS_URL=redis://host:6379 npm start',
].join('\n');

/** Throws an error whose message says how to get Redis. `say` hears about a download. */
export async function redisBinary(say: (line: string) => void = () => {}): Promise<RedisBinary> {
  try {
    const usable = async (tool: Tool) => (await withVersion(tool)) !== undefined;
    const tool = await debianTool({
      ...{ packages: ['redis-server'], binary: 'usr/bin/redis-server', also: ['valkey-server'] },
      ...{ usable, say },
    });
    const found = await withVersion(tool);
    if (found) return found;
    throw new Error('redis-server does not run here');
  } catch (error) {
    const detail = error instanceof Error ? error.message.trim() : String(error);
    throw new Error(`${HOW_TO_GET_REDIS}\n(${detail})`);
  }
}

/** Undefined if it does not run, or is too old. A cache may have outlived a system upgrade. */
async function withVersion({ path, env }: Tool): Promise<RedisBinary | undefined> {
  const answer = await run(path, ['--version'], { env: { ...process.env, ...env } }).catch(() => undefined);
  const version = answer?.stdout.match(/\bv=(\d+\.\S+)/)?.[1];
  return version && Number.parseInt(version, 10) >= 7 ? { path, env, version } : undefined;
}
