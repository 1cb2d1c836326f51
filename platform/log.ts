/**
 * Logs: one JSON object a line. Tokens, addresses and Authorization never reach them: known names are
 * blanked, and of an error only what it says of itself is kept (clients attach the command they sent).
 */
import { pino } from 'pino';
import type { LogLevel } from './config.ts';

export type Logger = pino.Logger;

const SECRET_NAMES = [
  'authorization',
  'token',
  'jwt',
  'secret',
  'password',
  'cookie',
  'payment_method',
  'shipping_address',
  'contact',
  'email',
  'phone',
  'body',
];

/** Also one and two levels down. */
const REDACTED = SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

export type LogOptions = {
  level: LogLevel;
  /** Which process speaks: engine, reconciler, sandbox. */
  service: string;
  /** Default: standard output. */
  destination?: pino.DestinationStream;
};

export function createLog(options: LogOptions): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: { service: options.service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED, censor: '[redacted]' },
    serializers: { err: describeError },
  };
  return options.destination ? pino(settings, options.destination) : pino(settings);
}

export type DescribedError = {
  type: string;
  message: string;
  code?: string;
  stack?: string;
  cause?: DescribedError;
};

const CAUSES_MAX = 3;

/** What an error says of itself, without what libraries hang on it (ioredis: arguments; pg: the row). */
export function describeError(error: unknown, depth = 0): DescribedError {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an Error' };
  const { code } = error as { code?: unknown };
  return {
    type: error.name,
    message: error.message,
    ...(typeof code === 'string' ? { code } : {}),
    stack: error.stack,
    ...(error.cause && depth < CAUSES_MAX ? { cause: describeError(error.cause, depth + 1) } : {}),
  };
}
