/**
 * Reads one variable of the environment each. An empty one counts as absent. A wrong value throws ConfigError: one line that
 * names the variable and what it wants, never a secret.
 */
import { createPrivateKey } from 'node:crypto';
import { isIP } from 'node:net';
import { NAME_PATTERN } from '../domain/ids.ts';

export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConfigError';
  }
}

/** An address or a network: prefix 32 (IPv4) or 128 (IPv6) is one address. */
export type Network = { address: string; prefix: number; family: 'ipv4' | 'ipv6' };

const RATE_MAX = 1_000_000;

export function port(env: NodeJS.ProcessEnv, key: string, fallback: number): number {
  const text = env[key];
  if (!text) return fallback;
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > 65_535) {
    throw new ConfigError(`${key} must be a port from 1 to 65535 (it is "${text}")`);
  }
  return value;
}

export function host(env: NodeJS.ProcessEnv, key: string, fallback: string): string {
  const text = env[key];
  if (!text) return fallback;
  if (isIP(text) === 0 && !/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(text)) {
    throw new ConfigError(`${key} must be an address or a host name to listen on (it is "${text}")`);
  }
  return text;
}

export function url(env: NodeJS.ProcessEnv, key: string, protocols: readonly string[]): string | undefined {
  const text = env[key];
  if (!text) return undefined;
  // The text may hold a password: it is not repeated.
  if (!URL.canParse(text) || !protocols.includes(new URL(text).protocol)) {
    throw new ConfigError(
      `${key} must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`,
    );
  }
  return text;
}

/** An http(s) URL to build others upon: no query, no slash at its end. */
export function origin(env: NodeJS.ProcessEnv, key: string): string | undefined {
  const text = url(env, key, ['https:', 'http:']);
  if (text !== undefined && /[?#]/.test(text))
    throw new ConfigError(`${key} must have no query and no fragment`);
  return text?.replace(/\/+$/, '');
}

export function oneOf<T extends string>(
  env: NodeJS.ProcessEnv,
  key: string,
  values: readonly T[],
  fallback: T,
): T {
  const text = env[key];
  if (!text) return fallback;
  const value = values.find((candidate) => candidate === text);
  if (!value) throw new ConfigError(`${key} must be ${values.join(', ')} (it is "${text}")`);
  return value;
}

export function rate(env: NodeJS.ProcessEnv, key: string, fallback: number): number {
  const text = env[key];
  if (!text) return fallback;
  if (text === 'off') return 0;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : -1;
  if (value < 0 || value > RATE_MAX) {
    throw new ConfigError(`${key} must be a number a second up to ${RATE_MAX}, or off (it is "${text}")`);
  }
  return value;
}

export function seconds(env: NodeJS.ProcessEnv, key: string, fallback: number): number {
  const text = env[key];
  if (!text) return fallback;
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new ConfigError(`${key} must be a whole number of seconds from 1 (it is "${text}")`);
  }
  return Number(text);
}

const SECRET_BYTES_MIN = 32;

export function longSecret(env: NodeJS.ProcessEnv, key: string): string | undefined {
  const text = env[key];
  if (!text) return undefined;
  if (Buffer.byteLength(text) < SECRET_BYTES_MIN) {
    throw new ConfigError(`${key} must have ${SECRET_BYTES_MIN} characters or more, made by chance`);
  }
  return text;
}

/** An Ed25519 private key: PKCS#8, as PEM or as base64 of its DER. */
export function ed25519Key(env: NodeJS.ProcessEnv, key: string): string | undefined {
  const text = env[key];
  if (!text) return undefined;
  try {
    const format = text.includes('-----BEGIN')
      ? text
      : ({ key: Buffer.from(text, 'base64'), format: 'der', type: 'pkcs8' } as const);
    if (createPrivateKey(format).asymmetricKeyType === 'ed25519') return text;
  } catch {
    // Said below, without a word of what it was.
  }
  throw new ConfigError(`${key} must be an Ed25519 private key: PKCS#8, as PEM or as base64 of its DER`);
}

export function networks(env: NodeJS.ProcessEnv, key: string): Network[] {
  const parts = (env[key] ?? '').split(',').map((part) => part.trim());
  return parts.filter((part) => part !== '').map((part) => network(key, part));
}

function network(key: string, text: string): Network {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const family = isIP(address);
  const longest = family === 4 ? 32 : 128;
  const prefix =
    slash < 0 ? longest : /^\d{1,3}$/.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : -1;
  if (family === 0 || prefix < 0 || prefix > longest) {
    throw new ConfigError(
      `${key} must be addresses or networks, comma-separated, such as 10.0.0.0/8,::1 (one is "${text}")`,
    );
  }
  return { address, prefix, family: family === 4 ? 'ipv4' : 'ipv6' };
}

export function name(env: NodeJS.ProcessEnv, key: string): string | undefined {
  const text = env[key];
  if (!text) return undefined;
  if (!new RegExp(NAME_PATTERN).test(text)) {
    throw new ConfigError(`${key} must be a sale id: 1-64 of A-Za-z0-9._- (it is "${text}")`);
  }
  return text;
}

export function count(env: NodeJS.ProcessEnv, key: string, fallback: number, max: number, min = 1): number {
  const text = env[key];
  if (!text) return fallback;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (value < min || value > max)
    throw new ConfigError(`${key} must be a whole number from ${min} to ${max} (it is "${text}")`);
  return value;
}

export function mailAddress(env: NodeJS.ProcessEnv, key: string): string | undefined {
  const text = env[key];
  if (!text) return undefined;
  if (!/^[^\s@<>,;:"()[\]\\]+@[A-Za-z0-9.-]+$/.test(text)) {
    throw new ConfigError(
      `${key} must be one bare address, such as orders@shop.example (the name is SHOP_NAME)`,
    );
  }
  return text;
}

export function oneLine(env: NodeJS.ProcessEnv, key: string): string | undefined {
  const text = env[key]?.trim();
  if (!text) return undefined;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text))
    throw new ConfigError(`${key} must be one line without control characters`);
  return text;
}

export function locale(env: NodeJS.ProcessEnv, key: string, fallback: string): string {
  const text = env[key];
  if (!text) return fallback;
  try {
    return Intl.getCanonicalLocales(text)[0] ?? fallback;
  } catch {
    throw new ConfigError(`${key} must be a language tag, such as en-GB (it is "${text}")`);
  }
}

export function timeZone(env: NodeJS.ProcessEnv, key: string, fallback: string): string {
  const text = env[key];
  if (!text) return fallback;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone;
  } catch {
    throw new ConfigError(`${key} must be a time zone, such as Europe/Berlin (it is "${text}")`);
  }
}

/** Comma-separated; `none` is an empty list. */
export function words(env: NodeJS.ProcessEnv, key: string, fallback: string): string[] {
  const text = env[key] || fallback;
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '' && word !== 'none');
}

export function flag(env: NodeJS.ProcessEnv, key: string): boolean {
  const text = env[key];
  if (!text || text === '0') return false;
  if (text !== '1') throw new ConfigError(`${key} must be 1 or 0 (it is "${text}")`);
  return true;
}
