/**
 * What a reservation costs Redis: CPU at several batch sizes and memory per live reservation.
 * `npm run bench:redis`: a Redis of its own (appendfsync always), three SKUs an order, a purchase limit, distinct
 * buyers, idempotency record and stream append included. Script time is what Redis counts inside the
 * script (INFO commandstats); CPU is that of the whole process (INFO cpu), with sockets, AOF and fsync;
 * memory is MEMORY USAGE of the hashes (record and limit counter).
 */
import { parseArgs } from 'node:util';
import { makeBatches, sendBatches } from './scale/redis-load.ts';
import { bytesOf, dropSale, openSale } from './scale/redis-sale.ts';
import { type RedisStand, withRedis } from './scale/redis-stand.ts';

const { values } = parseArgs({
  options: {
    reservations: { type: 'string', default: '100000' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  console.log(
    'npm run bench:redis -- [--reservations 100000] [--json]\nRedis CPU and memory per three-SKU reservation.',
  );
  process.exit(0);
}
const reservations = Number(values.reservations);
if (!Number.isInteger(reservations) || reservations < 1_000) {
  console.error('--reservations wants a whole number from 1000');
  process.exit(2);
}

const BATCH_SIZES = [1, 8, 32, 128, 512];
const LINES = 3;

async function measure({ redis, engines }: RedisStand, batch_size: number, count: number) {
  const sale = await openSale(redis, LINES);
  const batches = makeBatches({ reservations: count, batch_size, skus: LINES, lines: LINES });
  const { cpu_us, script_us, seconds } = await sendBatches(redis, engines, sale, batches);
  const taken = batches.length * batch_size;
  const { record, counter, stream } = await bytesOf(redis, sale, taken);
  await dropSale(redis, sale);
  return {
    batch_size,
    reservations: taken,
    script_us,
    cpu_us,
    per_second: Math.round(taken / seconds),
    record_bytes: record,
    counter_bytes: counter,
    stream_bytes: stream,
  };
}

await withRedis(async (stand) => {
  await measure(stand, 32, 2_000); // warm-up
  const rows = [];
  for (const size of BATCH_SIZES)
    rows.push(await measure(stand, size, size === 1 ? Math.min(reservations, 20_000) : reservations));
  if (values.json) {
    console.log(JSON.stringify(rows, null, 2));
  } else {
    console.log(
      'batch   script us   Redis CPU us   reservations/s   memory bytes (record + limit counter)   stream bytes',
    );
    for (const row of rows) {
      const memory = `${(row.record_bytes + row.counter_bytes).toFixed(0)} (${row.record_bytes.toFixed(0)} + ${row.counter_bytes.toFixed(0)})`;
      console.log(
        `${String(row.batch_size).padStart(5)}${row.script_us.toFixed(2).padStart(12)}${row.cpu_us.toFixed(2).padStart(15)}${String(row.per_second).padStart(17)}${memory.padStart(42)}${row.stream_bytes.toFixed(0).padStart(15)}`,
      );
    }
  }
});
