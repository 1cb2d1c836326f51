/** Orders with buyers that can be reached, events about them, and senders that are started and ended. */
import { Registry } from 'prom-client';
import { loadConfig } from '../../../platform/config.ts';
import { createLog } from '../../../platform/log.ts';
import { createPool, type Pool, withTransaction } from '../../../platform/postgres.ts';
import { ledgerOrders, ledgerSale, type TestSale, testLedger } from '../../../test/support/ledger.ts';
import type { OutboxEvent } from '../../outbox/sink.ts';
import { createNotify, type Notify } from '../notify.ts';
import type { SenderTimings } from '../sender.ts';

export const QUICK: Partial<SenderTimings> = {
  poll_ms: 20,
  retry_ms: 40,
  retry_ms_max: 200,
  away_ms: 20,
  away_ms_max: 100,
};

export const ADDRESS = {
  name: 'Zoë Müller',
  line1: '12 St James’s Square',
  city: 'London',
  postal_code: 'SW1Y 4JH',
  country: 'GB',
};

export type NoticeRow = {
  id: string;
  event_id: number;
  order_id: string;
  notice: string;
  channel: string;
  recipient: string;
  state: string;
  tries: number;
  last_error: string | null;
  message_id: string | null;
};

export type Sending = {
  notify: Notify;
  registry: Registry;
  logged(): string;
  stop(): Promise<void>;
};

export type NoticeRig = {
  db: Pool;
  url: string;
  sale: TestSale;
  order(contact: object | null, change?: { address?: object }): Promise<string>;
  event(order_id: string, type: string, change?: Partial<OutboxEvent>): OutboxEvent;
  /** Hands events to the sink, as the outbox does. */
  tell(env: Record<string, string>, events: readonly OutboxEvent[]): Promise<void>;
  /** Starts senders with these settings. */
  send(env: Record<string, string>, timings?: Partial<SenderTimings>): Sending;
  notices(): Promise<NoticeRow[]>;
  close(): Promise<void>;
};

export async function startNoticeRig(): Promise<NoticeRig> {
  const { db, url, close } = await testLedger();
  const sale = await ledgerSale(db, { items: [{ sku: 'a', qty: 1_000_000 }] });
  let last_event = 0;
  const running = new Set<Sending>();

  const make = (env: Record<string, string>, pool: Pool, timings?: Partial<SenderTimings>) => {
    let text = '';
    const destination = {
      write: (line: string) => {
        text += line;
      },
    };
    const registry = new Registry();
    const config = loadConfig({ PUBLIC_URL: 'http://shop.example', ...env });
    const log = createLog({ level: 'debug', service: 'notify', destination });
    const notify = createNotify({ db: pool, config, registry, log, timings: { ...QUICK, ...timings } });
    return { notify, registry, logged: () => text };
  };

  return {
    db,
    url,
    sale,
    async order(contact, { address = ADDRESS } = {}) {
      const [order_id = ''] = await ledgerOrders(db, sale, [{}]);
      await db.query('UPDATE orders SET contact = $2, shipping_address = $3 WHERE id = $1', [
        order_id,
        contact && JSON.stringify(contact),
        JSON.stringify(address),
      ]);
      return order_id;
    },
    event(order_id, type, change = {}) {
      last_event += 1;
      return {
        ...{ id: last_event, order_id, tenant: sale.tenant, sale: sale.id, type, at: new Date() },
        ...{
          from_state: null,
          to_state: type.split('.')[1] ?? '',
          cause: 'test',
          actor: 'test',
          detail: null,
        },
        ...change,
      };
    },
    async tell(env, events) {
      const { notify } = make(env, db);
      await withTransaction(db, (tx) => notify.sink.take(tx, events));
    },
    send(env, timings) {
      const pool = createPool({ url, max: 4, application_name: 'test-notify', on_error: () => {} });
      const made = make(env, pool, timings);
      const ending = new AbortController();
      const ended = made.notify.run(ending.signal);
      let stopped: Promise<void> | undefined;
      const sending: Sending = {
        ...made,
        stop() {
          running.delete(sending);
          stopped ??= (async () => {
            ending.abort();
            await ended;
            await pool.end();
          })();
          return stopped;
        },
      };
      running.add(sending);
      return sending;
    },
    async notices() {
      const { rows } = await db.query<NoticeRow>('SELECT * FROM notices ORDER BY event_id, channel');
      return rows;
    },
    async close() {
      await Promise.all([...running].map((sending) => sending.stop()));
      await close();
    },
  };
}
