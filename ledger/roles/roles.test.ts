import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPool, type Pool } from '../../platform/postgres.ts';
import { prepareLedger, prepareOrCheck } from '../../reconciler/prepare/prepare-ledger.ts';
import {
  ledgerOrders,
  ledgerSale,
  stateOf,
  stockOf,
  type TestSale,
  testLedger,
} from '../../test/support/ledger.ts';
import { asLedgerRole, testDatabase } from '../../test/support/postgres.ts';
import { auditSale } from '../audit.ts';
import { migrate } from '../migrate.ts';
import { cancelOrder } from '../orders/cancel-order.ts';
import { topup } from '../sales/topup.ts';
import { LedgerBehind } from './at-newest.ts';
import { LEDGER_ROLES, type LedgerRole, setLogin } from './set-login.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let sale: TestSale;
const as = {} as Record<LedgerRole, Pool>;

beforeAll(async () => {
  ledger = await testLedger();
  await prepareLedger({ url: ledger.url });
  sale = await ledgerSale(ledger.db);
  for (const role of LEDGER_ROLES) {
    as[role] = createPool({
      url: asLedgerRole(ledger.url, role),
      max: 2,
      application_name: 'test-role',
      on_error: () => {},
    });
  }
});
afterAll(async () => {
  await Promise.all(Object.values(as).map((pool) => pool.end()));
  await ledger.close();
});

/** 'denied', or what became of it. Whatever it does is undone. */
async function tried(role: LedgerRole, text: string): Promise<string> {
  const client = await as[role].connect();
  try {
    await client.query('BEGIN');
    await client.query(text);
    return 'done';
  } catch (error) {
    const { code, message } = error as pg.DatabaseError;
    return code === '42501' ? 'denied' : message;
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

const tables = async (): Promise<string[]> =>
  (
    await ledger.db.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`,
    )
  ).rows.map(({ name }) => name);

describe('no role but the owner', () => {
  it.each(LEDGER_ROLES)('%s changes the schema, the machines, or who may do what', async (role) => {
    for (const text of [
      'CREATE TABLE mine (a int)',
      'ALTER TABLE orders DROP CONSTRAINT orders_check',
      'ALTER TABLE orders DISABLE TRIGGER orders_updated',
      'DROP TABLE shipments',
      `INSERT INTO order_transitions VALUES ('canceled', 'confirmed', 0, 0, 0, 0)`,
      `INSERT INTO attempt_transitions VALUES ('refunded', 'captured')`,
      'UPDATE order_transitions SET to_available = 2',
      `INSERT INTO migrations (name, run_on) VALUES ('0099_mine', now())`,
      'CREATE OR REPLACE FUNCTION orders_updated() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$',
      'SELECT grant_roles()',
      'CREATE ROLE another LOGIN',
      'SET session_replication_role = replica',
      "COPY orders TO PROGRAM 'true'",
      "SELECT pg_read_file('postgresql.conf')",
    ]) {
      const became = await tried(role, text);
      // Postgres words some of these as the owner's affair.
      expect([text, /^denied$|must be owner|permission denied/.test(became) ? 'denied' : became]).toEqual([
        text,
        'denied',
      ]);
    }
  });

  it.each(LEDGER_ROLES)('%s empties a table', async (role) => {
    for (const table of await tables()) {
      expect([table, await tried(role, `TRUNCATE ${table} CASCADE`)]).toEqual([table, 'denied']);
    }
  });

  it('removes a row, but the reconciler what was sent to merchants', async () => {
    const may: string[] = [];
    for (const role of LEDGER_ROLES) {
      for (const table of await tables()) {
        if ((await tried(role, `DELETE FROM ${table} WHERE false`)) === 'done') may.push(`${role} ${table}`);
      }
    }
    expect(may).toEqual([
      'reconciler webhook_deliveries',
      'reconciler webhook_endpoints',
      'reconciler webhook_replays',
    ]);
  });

  it('writes history, or rewrites what was sold and told', async () => {
    for (const role of LEDGER_ROLES) {
      for (const text of [
        `INSERT INTO order_events (order_id, to_state, cause, actor) VALUES ('x', 'reserved', 'x', 'x')`,
        `UPDATE order_events SET actor = 'somebody else'`,
        'UPDATE order_items SET qty = 2',
        'UPDATE sale_events SET change = 0',
        `UPDATE sales SET salt = '\\x00'`,
      ]) {
        expect([role, text, await tried(role, text)]).toEqual([role, text, 'denied']);
      }
    }
  });
});

describe('the engine', () => {
  it('changes of an order its state and deadline, and nothing that was agreed', async () => {
    for (const column of [
      'total',
      'subtotal',
      'buyer',
      'buyer_hash',
      'tenant',
      'sale_no',
      'limit_units',
      'seq',
      'fingerprint',
      'currency',
      'shipping_address',
      'payment_method',
      'first_expires_at',
    ]) {
      const text = `UPDATE orders SET ${column} = ${column} WHERE false`;
      expect([column, await tried('engine', text)]).toEqual([column, 'denied']);
    }
    for (const column of [
      'state',
      'cause',
      'actor',
      'updated_at',
      'restock',
      'refund_reason',
      'extended',
      'expires_at',
    ]) {
      const text = `UPDATE orders SET ${column} = ${column} WHERE false`;
      expect([column, await tried('engine', text)]).toEqual([column, 'done']);
    }
  });

  it('makes no order, no stock, no movement of an order, and moves no cursor', async () => {
    for (const text of [
      `INSERT INTO orders (id) VALUES ('mine')`,
      `INSERT INTO order_items (order_id, line, sku, qty, unit_price) VALUES ('mine', 1, 'a', 1, 0)`,
      'UPDATE skus SET reserved = 0',
      'UPDATE skus SET sold = 0',
      'UPDATE skus SET told_available = 1000000',
      'UPDATE skus SET unit_price = 1',
      `INSERT INTO movements (sale_no, order_id, sku, to_available, from_held) VALUES (${sale.sale_no}, 'x', 'a', 1, 1)`,
      `INSERT INTO movements (sale_no, sku, to_available, from_held, n) VALUES (${sale.sale_no}, 'a', 1, 0, 1)`,
      'UPDATE movements SET n = 1',
      'UPDATE cursors SET seq = 0',
      'UPDATE cursors SET epoch = epoch + 1',
      'UPDATE heartbeat SET grace_ms = 0',
      'UPDATE sales SET limit_per_buyer = 0',
    ]) {
      expect([text, await tried('engine', text)]).toEqual([text, 'denied']);
    }
  });

  it('asks for payments, and says of none that it succeeded', async () => {
    for (const text of [
      `INSERT INTO attempts (order_id, no, psp, method_type, token, amount, currency, state) VALUES ('x', 1, 'p', 'card', 't', 1, 'USD', 'captured')`,
      `UPDATE attempts SET state = 'captured'`,
      'UPDATE attempts SET reversal_wanted = false',
      'UPDATE attempts SET refunded = 0',
      `UPDATE refunds SET state = 'done'`,
      `INSERT INTO refunds (order_id, attempt_id, key, amount, actor, state) VALUES ('x', gen_random_uuid(), 'k', 1, 'a', 'done')`,
      'SELECT body FROM psp_events',
      'UPDATE psp_events SET settled_at = now()',
      'SELECT * FROM notices',
      'UPDATE pgboss.job SET state = state',
      'DELETE FROM pgboss.job',
    ]) {
      expect([text, await tried('engine', text)]).toEqual([text, 'denied']);
    }
  });

  it('does what its verbs do: stock and history follow, written by the ledger itself', async () => {
    const buyer = randomUUID();
    const [order_id] = await ledgerOrders(ledger.db, sale, [{ buyer, lines: [{ sku: 'b', qty: 3 }] }]);
    const before = (await stockOf(ledger.db, sale.sale_no)).b;
    expect(await cancelOrder(as.engine, { tenant: sale.tenant, order_id, buyer })).toEqual({
      kind: 'canceled',
    });
    const after = (await stockOf(ledger.db, sale.sale_no)).b;
    expect(after.reserved).toBe(before.reserved - 3);
    const { rows } = await ledger.db.query('SELECT to_available FROM movements WHERE order_id = $1', [
      order_id,
    ]);
    expect(rows).toEqual([{ to_available: 3 }]);
    const topped = await topup(as.engine, {
      tenant: sale.tenant,
      sale: sale.id,
      key: randomUUID(),
      fingerprint: Buffer.alloc(16),
      items: [{ sku: 'b', qty: 5 }],
    });
    expect(topped).toMatchObject({ kind: 'done', answer: { items: [{ sku: 'b', qty: 5 }] } });
  });

  it('cannot lead the ledger to a function or table of its own by the search path', async () => {
    const client = await as.engine.connect();
    const [order_id] = await ledgerOrders(ledger.db, sale, [{}]);
    try {
      await client.query('BEGIN');
      await client.query('CREATE TEMP TABLE skus (sale_no bigint, sku text, reserved bigint, sold bigint)');
      await client.query('SET LOCAL search_path = pg_temp, public');
      await client.query(`UPDATE orders SET state = 'canceled', cause = 'x', actor = 'x' WHERE id = $1`, [
        order_id,
      ]);
      const real = await client.query('SELECT reserved FROM public.skus WHERE sale_no = $1 AND sku = $2', [
        sale.sale_no,
        'a',
      ]);
      expect(Number(real.rows[0].reserved)).toBe(0);
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
    expect(await stateOf(ledger.db, order_id)).toBe('reserved');
  });
});

describe('the auditor', () => {
  it('reads the books', async () => {
    const audit = await auditSale(as.auditor, sale.sale_no, () => Promise.resolve(null));
    expect(audit.balanced).toBe(true);
  });

  it('reads nothing about a person, no secret, and writes nothing', async () => {
    for (const text of [
      'SELECT shipping_address FROM orders',
      'SELECT contact FROM orders',
      'SELECT payment_method FROM orders',
      'SELECT buyer FROM orders',
      'SELECT token FROM attempts',
      'SELECT salt FROM sales',
      'SELECT raw FROM quarantine',
      'SELECT body FROM psp_events',
      'SELECT recipient FROM notices',
      'SELECT data FROM pgboss.job',
      `UPDATE orders SET state = state`,
      `INSERT INTO movements (sale_no, sku, to_available, from_held) VALUES (${sale.sale_no}, 'a', 1, 0)`,
      'SELECT id FROM orders FOR UPDATE',
    ]) {
      expect([text, await tried('auditor', text)]).toEqual([text, 'denied']);
    }
  });
});

describe('a table that a later migration adds', () => {
  it('is asked about: each role has what stands here', async () => {
    const { rows } = await ledger.db.query<{ line: string }>(`
      SELECT format('%s %s: %s', c.relname, substr(r.rolname, 10), string_agg(p.name || CASE
        WHEN has_table_privilege(r.oid, c.oid, p.name) THEN '' ELSE ' some' END, ', ' ORDER BY p.name)) AS line
      FROM pg_class c CROSS JOIN pg_roles r CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE')) AS p (name)
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND r.rolname IN ('stampede_engine', 'stampede_reconciler', 'stampede_auditor')
        AND has_any_column_privilege(r.oid, c.oid, p.name)
      GROUP BY c.relname, r.rolname ORDER BY c.relname, r.rolname`);
    await expect(`${rows.map(({ line }) => line).join('\n')}\n`).toMatchFileSnapshot('./rights.txt');
  });
});

describe('preparing a ledger', () => {
  it('a process that is not the owner waits until the owner has been there', async () => {
    const url = await testDatabase();
    const owner = createPool({ url, max: 1, application_name: 'test', on_error: () => {} });
    const role = createPool({
      url: asLedgerRole(url, 'reconciler'),
      max: 1,
      application_name: 'test',
      on_error: () => {},
    });
    await owner.query(`DELETE FROM migrations WHERE name = '0016_audit'`);
    await expect(prepareOrCheck(role, { url: asLedgerRole(url, 'reconciler') })).rejects.toThrow(
      LedgerBehind,
    );
    await owner.query(`INSERT INTO migrations (name, run_on) VALUES ('0016_audit', now())`);
    expect(await prepareOrCheck(role, { url: asLedgerRole(url, 'reconciler') })).toEqual([]);
    await Promise.all([owner.end(), role.end()]);
  });

  it('lets a role in by the password given, and nobody by another', async () => {
    const owner = createPool({ url: ledger.url, max: 1, application_name: 'test', on_error: () => {} });
    // A role of this test alone: the others are shared by all tests of this cluster.
    const name = `probe_${randomUUID().slice(0, 8)}`;
    await owner.query(`CREATE ROLE ${name} NOLOGIN`);
    const probe = name.replace('stampede_', '');
    await setLogin(
      { query: (config) => owner.query({ ...config, text: config.text.replace('stampede_engine', probe) }) },
      'engine',
      'right-password',
    );
    const connect = async (password: string) => {
      const url = new URL(ledger.url);
      Object.assign(url, { username: name, password });
      const client = new pg.Client({ connectionString: url.href });
      await client.connect();
      await client.end();
    };
    await connect('right-password');
    await expect(connect('wrong-password')).rejects.toThrow(/password/);
    const { rows } = await owner.query('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [name]);
    expect(rows[0].rolpassword).toMatch(/^SCRAM-SHA-256\$4096:/);
    await owner.query(`DROP ROLE ${name}`);
    await owner.end();
  });

  it('an owner who may make no roles has a ledger all the same', async () => {
    const database = `plain_${randomUUID().slice(0, 8)}`;
    const admin = createPool({ url: ledger.url, max: 1, application_name: 'test', on_error: () => {} });
    await admin.query(`CREATE ROLE ${database} LOGIN PASSWORD 'plain'`);
    await admin.query(`CREATE DATABASE ${database} OWNER ${database}`);
    const url = new URL(ledger.url);
    Object.assign(url, { username: database, password: 'plain', pathname: `/${database}` });
    await migrate(url.href);
    const plain = createPool({ url: url.href, max: 1, application_name: 'test', on_error: () => {} });
    const made = await ledgerSale(plain);
    const [order_id] = await ledgerOrders(plain, made, [{ buyer: 'b' }]);
    expect(await cancelOrder(plain, { tenant: made.tenant, order_id, buyer: 'b' })).toEqual({
      kind: 'canceled',
    });
    await plain.end();
    await admin.query(`DROP DATABASE ${database}`);
    await admin.query(`DROP ROLE ${database}`);
    await admin.end();
  });
});
