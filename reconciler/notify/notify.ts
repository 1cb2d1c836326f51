/**
 * Notices as one part of the reconciler: a sink for the outbox, and a sender for each channel that is configured.
 *
 *     const notify = createNotify({ db, config, registry, log });
 *     ... hand notify.sink to the outbox; await notify.run(signal)
 */
import type { Registry } from 'prom-client';
import { CHANNELS } from '../../ledger/notices/insert-notices.ts';
import { noticesWaiting } from '../../ledger/notices/notice-counts.ts';
import type { Config } from '../../platform/config.ts';
import type { Logger } from '../../platform/log.ts';
import type { Pool } from '../../platform/postgres.ts';
import { runLoop } from '../loop.ts';
import type { Sink } from '../outbox/sink.ts';
import { stepErrors } from '../step-errors.ts';
import type { NoticeChannel } from './channel.ts';
import { type Compose, createCompose } from './compose.ts';
import { createMailChannel } from './mail/mail-channel.ts';
import { createNoticeMetrics } from './metrics.ts';
import { NOTICES } from './notice-table.ts';
import { runSender, type SenderTimings } from './sender.ts';
import { createNoticeSink } from './sink.ts';
import { createTwilioChannel } from './sms/twilio-channel.ts';

export type NotifyConfig = Pick<
  Config,
  | 'smtp_url'
  | 'mail_from'
  | 'mail_reply_to'
  | 'smtp_connections'
  | 'mail_rate'
  | 'shop_name'
  | 'template_dir'
  | 'notice_locale'
  | 'notice_time_zone'
  | 'notices_off'
  | 'invoice_seller'
  | 'invoice_font'
  | 'twilio_account_sid'
  | 'twilio_auth_token'
  | 'twilio_from'
  | 'twilio_whatsapp_from'
  | 'twilio_api_url'
  | 'public_url'
>;

export type NotifyOptions = {
  db: Pool;
  config: NotifyConfig;
  registry: Registry;
  log: Logger;
  give_way?: () => Promise<void>;
  timings?: Partial<SenderTimings>;
};

export type Notify = {
  sink: Sink;
  /** Sends until the signal ends it. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
};

const COUNT_MS = 5_000;

/** Throws an Error with words for an operator if a template, a font or a setting is wrong. */
export function createNotify({ db, config, registry, log, give_way, timings }: NotifyOptions): Notify {
  const metrics = createNoticeMetrics(registry);
  const unknown = config.notices_off.filter((name) => !NOTICES.some((notice) => notice === name));
  if (unknown.length > 0) {
    throw new Error(`NOTICES_OFF: there is no notice ${unknown.join(', ')}; there are ${NOTICES.join(', ')}`);
  }
  const channels = createChannels(config, createComposeOf(config), log);
  const sink = createNoticeSink({
    channels: channels.map(({ name }) => name),
    off: config.notices_off,
    metrics,
  });
  const count = async () => {
    const waiting = new Map((await noticesWaiting(db)).map((row) => [row.channel, row]));
    for (const channel of CHANNELS) {
      const row = waiting.get(channel);
      metrics.waiting.set({ channel }, row?.waiting ?? 0);
      metrics.oldestSeconds.set({ channel }, Math.max(0, row?.oldest_seconds ?? 0));
    }
    return 'slow' as const;
  };
  return {
    sink,
    async run(signal) {
      await Promise.all([
        ...channels.map((channel) => runSender({ db, channel, metrics, log, give_way, timings }, signal)),
        runLoop({ step: count, slow_ms: COUNT_MS, signal, onError: stepErrors(log, 'notices count') }),
      ]);
      for (const channel of channels) channel.close();
    },
  };
}

export function createComposeOf(config: NotifyConfig): Compose {
  return createCompose({
    shop: { name: config.shop_name, url: config.public_url, reply_to: config.mail_reply_to ?? null },
    locale: config.notice_locale,
    time_zone: config.notice_time_zone,
    seller: config.invoice_seller,
    template_dir: config.template_dir,
    invoice_font: config.invoice_font,
  });
}

/** Those that are configured (platform/config.ts refuses half of one). */
function createChannels(config: NotifyConfig, compose: Compose, log: Logger): NoticeChannel[] {
  const channels: NoticeChannel[] = [];
  const { smtp_url, mail_from, twilio_account_sid, twilio_auth_token } = config;
  if (smtp_url && mail_from) {
    const settings = {
      smtp_url,
      from: mail_from,
      reply_to: config.mail_reply_to ?? null,
      shop_name: config.shop_name,
      connections: config.smtp_connections,
      rate: config.mail_rate,
    };
    channels.push(createMailChannel(settings, compose, log));
  }
  if (twilio_account_sid && twilio_auth_token) {
    const account = {
      api_url: config.twilio_api_url,
      account_sid: twilio_account_sid,
      auth_token: twilio_auth_token,
    };
    const numbers = { sms: config.twilio_from, whatsapp: config.twilio_whatsapp_from };
    for (const channel of ['sms', 'whatsapp'] as const) {
      const from = numbers[channel];
      if (from) channels.push(createTwilioChannel({ ...account, from, channel }, compose));
    }
  }
  return channels;
}
