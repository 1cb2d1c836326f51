/**
 * The environment as ONE frozen object, read in main files only. An empty variable counts as absent. A wrong
 * value throws ConfigError: one line that names the variable and what it wants, never a secret.
 */

import { loadProviders, type ProviderConfig } from './config-providers.ts';
import {
  ConfigError,
  count,
  ed25519Key,
  flag,
  host,
  locale,
  longSecret,
  mailAddress,
  type Network,
  name,
  networks,
  oneLine,
  oneOf,
  origin,
  port,
  rate,
  seconds,
  timeZone,
  url,
  words,
} from './env.ts';
import { NICE_MAX } from './give-way.ts';

export { ConfigError, type Network };

/** Of the local stack's reconciler, which shares its machine with the engine (docs/decisions/0044). */
export const LOCAL_RECONCILER_NICE = 5;

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type Config = ProviderConfig & {
  port: number;
  host: string;
  redis_url?: string;
  database_url?: string;
  /** Of the ledger's owner, where DATABASE_URL is of a role that may not change the schema. */
  migrate_database_url?: string;
  /** What these roles log in with, once the ledger has been prepared. */
  engine_database_password?: string;
  reconciler_database_password?: string;
  auditor_database_password?: string;
  data_dir: string;
  jwt_secret?: string;
  jwt_jwks_url?: string;
  /** Where buyers and providers reach the engine; without a slash at the end. */
  public_url: string;
  /** Where the sandbox PSP sends webhooks, and where buyers' browsers reach it. */
  psp_sandbox_webhook_url: string;
  psp_sandbox_public_url: string;
  log_level: LogLevel;
  /** Checkouts a second per buyer, 0 for no limit. */
  rate_limit_buyer: number;
  /** Requests a second per address, 0 for no limit. */
  rate_limit_ip: number;
  /** Connections of one address, and requests under way of one client, 0 for no limit. */
  connection_limit_ip: number;
  /** Whose X-Forwarded-For counts. */
  trusted_proxies: readonly Network[];
  reconciler_port: number;
  /** How much the reconciler lets others on its machine go first, 0 to 19. */
  reconciler_nice: number;
  sandbox_port: number;
  sandbox_dir: string;
  /** How long stream entries are kept after the ledger has ingested them, ms. */
  stream_keep_ms: number;
  /** Merchants' webhooks are signed with what is derived from it; without it there are none. */
  webhook_signing_key?: string;
  /** Development: webhooks to this machine, and http:// to them. */
  webhook_allow_http: boolean;
  /** Ed25519 private key that vouches for certificates of sales; without it they are not signed. */
  certificate_key?: string;
  /** How long deliveries that are over are kept, days. */
  webhook_keep_days: number;
  /** Where notices by e-mail go out; without it there are none. */
  smtp_url?: string;
  /** Whom they are from; required with smtp_url. */
  mail_from?: string;
  mail_reply_to?: string;
  /** Connections to the mail server, and mails a second on all of them together. */
  smtp_connections: number;
  mail_rate: number;
  shop_name: string;
  /** Templates in it go before ours, file by file. */
  template_dir?: string;
  /** How amounts and times are written in notices. */
  notice_locale: string;
  notice_time_zone: string;
  /** Notices that are not sent. */
  notices_off: readonly string[];
  /** Lines at the head of an invoice. */
  invoice_seller: readonly string[];
  /** A font file for letters that the invoice's own font does not have. */
  invoice_font?: string;
  twilio_account_sid?: string;
  twilio_auth_token?: string;
  twilio_from?: string;
  twilio_whatsapp_from?: string;
  twilio_api_url: string;
  /** The mailbox of the local stack: its page, its SMTP, its folder. */
  mailbox_port: number;
  mailbox_smtp_port: number;
  mailbox_dir: string;
  /** The sale that the storefront shows; only the local stack has one. */
  demo_sale?: string;
  local_stack: boolean;
};

export function loadConfig(env: NodeJS.ProcessEnv): Readonly<Config> {
  const local_stack = flag(env, 'LOCAL_STACK');
  const listens = port(env, 'PORT', 3000);
  const sandbox_port = port(env, 'SANDBOX_PORT', 3002);
  const config: Config = {
    port: listens,
    host: host(env, 'HOST', local_stack ? '127.0.0.1' : '0.0.0.0'),
    redis_url: url(env, 'REDIS_URL', ['redis:', 'rediss:']),
    database_url: url(env, 'DATABASE_URL', ['postgres:', 'postgresql:']),
    migrate_database_url: url(env, 'MIGRATE_DATABASE_URL', ['postgres:', 'postgresql:']),
    engine_database_password: longSecret(env, 'ENGINE_DATABASE_PASSWORD'),
    reconciler_database_password: longSecret(env, 'RECONCILER_DATABASE_PASSWORD'),
    auditor_database_password: longSecret(env, 'AUDITOR_DATABASE_PASSWORD'),
    data_dir: env.DATA_DIR || '.data',
    jwt_secret: env.JWT_SECRET || undefined,
    jwt_jwks_url: url(env, 'JWT_JWKS_URL', ['https:', 'http:']),
    ...loadProviders(env),
    public_url: origin(env, 'PUBLIC_URL') ?? `http://localhost:${listens}`,
    psp_sandbox_webhook_url:
      url(env, 'PSP_SANDBOX_WEBHOOK_URL', ['http:', 'https:']) ?? 'http://127.0.0.1:3000/v1/webhooks/sandbox',
    psp_sandbox_public_url: origin(env, 'PSP_SANDBOX_PUBLIC_URL') ?? `http://localhost:${sandbox_port}`,
    log_level: oneOf(env, 'LOG_LEVEL', LOG_LEVELS, 'info'),
    rate_limit_buyer: rate(env, 'RATE_LIMIT_BUYER', 10),
    rate_limit_ip: rate(env, 'RATE_LIMIT_IP', local_stack ? 0 : 200),
    connection_limit_ip: rate(env, 'CONNECTION_LIMIT_IP', local_stack ? 0 : 1_000),
    trusted_proxies: networks(env, 'TRUSTED_PROXIES'),
    reconciler_port: port(env, 'RECONCILER_PORT', 3001),
    reconciler_nice: count(env, 'RECONCILER_NICE', local_stack ? LOCAL_RECONCILER_NICE : 0, NICE_MAX, 0),
    sandbox_port,
    sandbox_dir: env.SANDBOX_DIR || '.data/sandbox',
    stream_keep_ms: 1000 * seconds(env, 'STREAM_KEEP_SECONDS', 3_600),
    webhook_signing_key: longSecret(env, 'WEBHOOK_SIGNING_KEY'),
    webhook_allow_http: env.WEBHOOK_ALLOW_HTTP ? flag(env, 'WEBHOOK_ALLOW_HTTP') : local_stack,
    certificate_key: ed25519Key(env, 'CERTIFICATE_KEY'),
    webhook_keep_days: count(env, 'WEBHOOK_KEEP_DAYS', 30, 3_650),
    smtp_url: url(env, 'SMTP_URL', ['smtp:', 'smtps:']),
    mail_from: mailAddress(env, 'MAIL_FROM'),
    mail_reply_to: mailAddress(env, 'MAIL_REPLY_TO'),
    smtp_connections: count(env, 'SMTP_CONNECTIONS', 4, 100),
    mail_rate: count(env, 'MAIL_RATE', 50, 10_000),
    shop_name: oneLine(env, 'SHOP_NAME') ?? 'Stampede',
    template_dir: env.TEMPLATE_DIR || undefined,
    notice_locale: locale(env, 'NOTICE_LOCALE', 'en'),
    notice_time_zone: timeZone(env, 'NOTICE_TIME_ZONE', 'UTC'),
    notices_off: words(env, 'NOTICES_OFF', 'delivered'),
    invoice_seller: (env.INVOICE_SELLER || '')
      .split('|')
      .map((line) => line.trim())
      .filter((line) => line !== ''),
    invoice_font: env.INVOICE_FONT || undefined,
    twilio_account_sid: env.TWILIO_ACCOUNT_SID || undefined,
    twilio_auth_token: env.TWILIO_AUTH_TOKEN || undefined,
    twilio_from: env.TWILIO_FROM || undefined,
    twilio_whatsapp_from: env.TWILIO_WHATSAPP_FROM || undefined,
    twilio_api_url: url(env, 'TWILIO_API_URL', ['https:', 'http:']) ?? 'https://api.twilio.com',
    mailbox_port: port(env, 'MAILBOX_PORT', 3003),
    mailbox_smtp_port: port(env, 'MAILBOX_SMTP_PORT', 3025),
    mailbox_dir: env.MAILBOX_DIR || '.data/mailbox',
    demo_sale: name(env, 'DEMO_SALE'),
    local_stack,
  };
  checkNotices(config);
  return Object.freeze(config);
}

/** A channel is there or not; half of one stops the start. */
function checkNotices(config: Config): void {
  if (config.smtp_url && !config.mail_from) {
    throw new ConfigError('MAIL_FROM must be set where SMTP_URL is, such as orders@shop.example');
  }
  const { twilio_account_sid: sid, twilio_auth_token: token } = config;
  const from = config.twilio_from ?? config.twilio_whatsapp_from;
  const missing = [
    !sid && 'TWILIO_ACCOUNT_SID',
    !token && 'TWILIO_AUTH_TOKEN',
    !from && 'TWILIO_FROM or TWILIO_WHATSAPP_FROM',
  ].filter((name) => typeof name === 'string');
  if ((sid || token || from) && missing.length > 0) {
    throw new ConfigError(
      `${missing.join(', ')} must be set too: SMS and WhatsApp need account, token and number`,
    );
  }
}

/** Variables that have no default and that some processes cannot do without. */
const REQUIRED = {
  redis_url: 'REDIS_URL must be set, such as redis://127.0.0.1:6379 (npm start runs a Redis of its own)',
  database_url:
    'DATABASE_URL must be set, such as postgres://user@127.0.0.1:5432/stampede (npm start runs a Postgres of its own)',
  psp_sandbox_secret: 'PSP_SANDBOX_SECRET must be set: the secret shared with the sandbox payment provider',
} as const;

/** The configuration with these values present, or ConfigError for the first that is absent. */
export function required<K extends keyof typeof REQUIRED>(
  config: Readonly<Config>,
  ...keys: readonly K[]
): Readonly<Config & Record<K, string>> {
  for (const key of keys) if (config[key] === undefined) throw new ConfigError(REQUIRED[key]);
  return config as Readonly<Config & Record<K, string>>;
}
