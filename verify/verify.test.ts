/** Certificates of real sales, and what is done to them: by file, and in the ledger. */
import type { Redis } from 'ioredis';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../lua/testing/sale.ts';
import type { Pool } from '../platform/postgres.ts';
import { setHeartbeat, testLedger } from '../test/support/ledger.ts';
import type { Rig } from '../test/support/reconciler.ts';
import { testRedis } from '../test/support/redis.ts';
import { verifyFile } from './file.ts';
import { createFindings } from './findings.ts';
import { verifyLedger } from './ledger.ts';
import { type CertificateFile, certificateOf, closedSale } from './testing/closed-sale.ts';

let ledger: Awaited<ReturnType<typeof testLedger>>;
let db: Pool;
let redis: Redis;
let sale: Rig;
let file: CertificateFile;
beforeAll(async () => {
  ledger = await testLedger();
  db = ledger.db;
  redis = connect(testRedis().url);
  await setHeartbeat(db);
  sale = await closedSale({ db, redis });
  file = await certificateOf(db, sale.sale_no);
});
afterAll(async () => {
  redis.disconnect();
  await ledger.close();
});

async function byFile(path: string, public_key?: string) {
  const findings = createFindings();
  const result = await verifyFile(path, findings, { public_key });
  return { ...result, checks: [...findings.counts.keys()], said: findings.kept.map((f) => f.message) };
}

test('a sale that has seen everything is certified, and the file alone proves it', async () => {
  const told = await byFile(file.path);
  expect(told.said).toEqual([]);
  expect(told).toMatchObject({ orders: 8, signed_by: null, claim: { interim: false, balanced: true } });
});

async function byLedger(path: string) {
  const findings = createFindings();
  const { claim } = await verifyFile(path, findings);
  const client = new pg.Client({ connectionString: ledger.url });
  await client.connect();
  try {
    const { events_since } = await verifyLedger(client, path, claim!, findings);
    return { events_since, checks: [...findings.counts.keys()], said: findings.kept.map((f) => f.message) };
  } finally {
    await client.end();
  }
}

test('the ledger says the same', async () => {
  expect(await byLedger(file.path)).toEqual({ events_since: 0, checks: [], said: [] });
});
