/** What the local stack reads from the environment. The processes it starts check the rest themselves. */
import { resolve } from 'node:path';

export type LocalSettings = {
  port: number;
  host: string;
  data_dir: string;
  redis_url?: string;
  database_url?: string;
  jwt_secret?: string;
  jwt_jwks_url?: string;
  reconciler_port?: number;
  sandbox_port?: number;
};

/** Throws an Error with one line that names the variable. */
export function localSettings(env: NodeJS.ProcessEnv): LocalSettings {
  return {
    port: port(env, 'PORT') ?? 3000,
    host: env.HOST || '127.0.0.1',
    data_dir: resolve(env.DATA_DIR || '.data'),
    redis_url: url(env, 'REDIS_URL', ['redis:', 'rediss:']),
    database_url: url(env, 'DATABASE_URL', ['postgres:', 'postgresql:']),
    jwt_secret: env.JWT_SECRET || undefined,
    jwt_jwks_url: url(env, 'JWT_JWKS_URL', ['https:', 'http:']),
    reconciler_port: port(env, 'RECONCILER_PORT'),
    sandbox_port: port(env, 'SANDBOX_PORT'),
  };
}

function port(env: NodeJS.ProcessEnv, name: string): number | undefined {
  const text = env[name];
  if (!text) return undefined;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_535) {
    throw new Error(`${name} must be a port from 1 to 65535 (it is "${text}")`);
  }
  return value;
}

function url(env: NodeJS.ProcessEnv, name: string, protocols: readonly string[]): string | undefined {
  const text = env[name];
  if (!text) return undefined;
  // The text itself may hold a password: it is not repeated.
  if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol)) {
    throw new Error(`${name} must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`);
  }
  return text;
}
