/**
 * Mitigations taken out, one at a time, by an exact replacement in a file of the product. `find` occurs exactly once in
 * its file, or the check of today's source fails. `tests` are those beside the code that should see it; the layers that
 * are the same for all bugs stand in layers.ts.
 */

export type Bug = {
  id: string;
  /** What goes wrong without it; the number of its row in the list of hazards. */
  says: string;
  hazard: string;
  file: string;
  find: string;
  replace: string;
  tests: readonly string[];
  /** Only the tests of this name, where the others of their files take long. */
  named?: string;
  /** The setting of the model that takes the same mitigation out. */
  model?: string;
};

export const BUGS: readonly Bug[] = [
  // Redis: the verbs
  {
    id: 'no-fence',
    says: 'a Redis that lost its memory goes on selling',
    hazard: '11, 12',
    file: 'lua/lib/guard.lua',
    find: `if record.recovery == 'open' and (record.identity ~= identity_now() or known < epoch) then`,
    replace: 'if false then',
    tests: ['reconciler/verify/verify-sale.test.ts', 'lua/reserve.test.ts'],
    model: 'no-fence',
  },
  {
    id: 'key-forgotten',
    says: 'a key that took units takes them again',
    hazard: '1',
    file: 'lua/reserve.lua',
    find: 'local stored = known[i] or taken_here[id]',
    replace: 'local stored = taken_here[id]',
    tests: ['lua/reserve.test.ts', 'lua/twin.test.ts'],
    model: 'no-record',
  },
  {
    id: 'key-twice-in-a-batch',
    says: 'two equal keys in one batch take twice',
    hazard: '1',
    file: 'lua/reserve.lua',
    find: 'local stored = known[i] or taken_here[id]',
    replace: 'local stored = known[i]',
    tests: ['lua/reserve.test.ts', 'lua/twin.test.ts'],
  },
  {
    id: 'fingerprint-ignored',
    says: 'the same key with another body gets the first answer',
    hazard: '1',
    file: 'lua/reserve.lua',
    find: 'local same = string.sub(stored, 1, 16) == string.sub(hashes, 48 * i - 31, 48 * i - 16)',
    replace: 'local same = true',
    tests: ['lua/reserve.test.ts', 'lua/twin.test.ts'],
  },
  {
    id: 'oversell',
    says: 'more units go than there are',
    hazard: '1',
    file: 'lua/reserve.lua',
    find: 'short = short or left < 0',
    replace: 'short = false',
    tests: ['lua/reserve.test.ts', 'lua/twin.test.ts'],
  },
  {
    id: 'limit-ignored',
    says: 'a buyer gets more than the limit',
    hazard: '-',
    file: 'lua/reserve.lua',
    find: 'if limit > 0 and owned_units + units > limit then',
    replace: 'if false then',
    tests: ['lua/reserve.test.ts', 'lua/twin.test.ts'],
  },
  {
    id: 'late-batch-takes',
    says: 'a batch that its engine has given up takes stock',
    hazard: '2',
    file: 'lua/reserve.lua',
    find: 'if now > not_after_ms then',
    replace: 'if false then',
    tests: ['lua/reserve.test.ts', 'lua/twin.test.ts'],
  },
  {
    id: 'closed-sale-sells',
    says: 'a closed sale goes on selling',
    hazard: '-',
    file: 'lua/reserve.lua',
    find: `elseif record.gate == 'closed' or (closes > 0 and now >= closes) then`,
    replace: 'elseif false then',
    tests: ['lua/reserve.test.ts', 'lua/twin.test.ts'],
  },
  {
    id: 'movement-twice',
    says: 'a batch of movements sent again is applied again',
    hazard: '19',
    file: 'lua/apply.lua',
    find: `if n <= applied_n then
  return { 'already' }
end

local possible = n == applied_n + 1`,
    replace: 'local possible = true',
    tests: ['reconciler/release/release-sale.test.ts'],
    model: 'movement-no-number',
  },
  {
    id: 'movement-gap',
    says: 'a batch of movements is left out and nobody sees it',
    hazard: '19',
    file: 'lua/apply.lua',
    find: 'local possible = n == applied_n + 1',
    replace: 'local possible = true',
    tests: ['reconciler/release/release-sale.test.ts'],
  },
  // Verification
  {
    id: 'digest-ignored',
    says: 'another history with the same length is opened',
    hazard: '11',
    file: 'reconciler/verify/verify-sale.ts',
    find: `if (sale.seq > sale.start_seq && (!digest || !sale.digest?.equals(digest))) return 'digest_mismatch';`,
    replace: '',
    tests: ['reconciler/verify/verify-sale.test.ts'],
  },
  {
    id: 'behind-ignored',
    says: 'an older copy of Redis is opened',
    hazard: '11',
    file: 'reconciler/verify/verify-sale.ts',
    find: `  if (chunk.seq < sale.seq) return 'redis_behind';
  // At its start a generation has no entry; that its epoch and generation are the ledger's says who made it.
  if (sale.seq > sale.start_seq && (!digest || !sale.digest?.equals(digest))) return 'digest_mismatch';
  if (chunk.applied_n < sale.acked_n || chunk.applied_n > sale.sealed_n) return 'movements_mismatch';
`,
    replace: '',
    tests: ['reconciler/verify/verify-sale.test.ts'],
    model: 'verify-looks-away',
  },
  {
    id: 'not-durable-trusted',
    says: 'after a restart a Redis is trusted that may have lost its last second',
    hazard: '8',
    file: 'reconciler/verify/verify-sale.ts',
    find: `return fsync === 'always' ? undefined : 'not_durable';`,
    replace: 'return undefined;',
    tests: ['reconciler/verify/verify-sale.test.ts'],
  },
  {
    id: 'eviction-allowed',
    says: 'a Redis that may evict holds is used',
    hazard: '7',
    file: 'platform/redis-check.ts',
    find: `if (policy !== 'noeviction') {`,
    replace: 'if (!policy) {',
    tests: ['platform/redis-check.test.ts'],
  },
  {
    id: 'issue-blind',
    says: 'a memory is opened that lacks a batch acknowledged meanwhile',
    hazard: '11',
    file: 'ledger/stream/issue-epoch.ts',
    find: 'AND epoch = $2 AND acked_n <= $5',
    replace: 'AND epoch = $2 AND $5::bigint >= 0',
    tests: ['reconciler/release/release-sale.test.ts'],
    model: 'issue-blind',
  },
  // Ingest
  {
    id: 'cursor-no-cas',
    says: 'two ingesters move one cursor',
    hazard: '17',
    file: 'ledger/stream/move-cursor.ts',
    find: 'WHERE sale_no = $1 AND epoch = $2 AND seq = $3`',
    replace: 'WHERE sale_no = $1 AND ($2::bigint > 0 OR $3::bigint >= 0)`',
    tests: ['reconciler/ingest/follow-sale.test.ts', 'reconciler/rebuild/fences.test.ts'],
    model: 'cursor-no-cas',
  },
  {
    id: 'gap-not-seen',
    says: 'an entry that is missing in the stream is passed over',
    hazard: '16',
    file: 'reconciler/ingest/follow-sale.ts',
    find: `if (chunk.entries.some((entry, i) => entry.seq !== sale.seq + 1 + i)) return 'stream_gap';`,
    replace: '',
    tests: ['reconciler/ingest/follow-sale.test.ts'],
  },
  {
    id: 'misfit-taken',
    says: 'the ledger takes an order that it has no stock for',
    hazard: '11',
    file: 'reconciler/ingest/plan-chunk.ts',
    find: 'if (!row || row.total - row.reserved - row.sold < qty) {',
    replace: 'if (!row) {',
    tests: ['reconciler/ingest/plan-chunk.test.ts', 'reconciler/ingest/follow-sale.test.ts'],
  },
  {
    id: 'second-take-kept',
    says: 'what an order took twice does not come back',
    hazard: '11d',
    file: 'reconciler/ingest/plan-chunk.ts',
    find: `plan.movements.push(...takeBack(order, stock, 'all'));`,
    replace: '',
    tests: ['reconciler/ingest/plan-chunk.test.ts', 'reconciler/ingest/follow-sale.test.ts'],
  },
  {
    id: 'deadline-by-other-clock',
    says: 'a hold that was read late has no time left',
    hazard: '13',
    file: 'reconciler/ingest/plan-chunk.ts',
    find: 'left_ms: Math.max(left_ms, Math.min(hold_ms, context.grace_ms)),',
    replace: 'left_ms,',
    tests: ['reconciler/ingest/plan-chunk.test.ts'],
  },
  {
    id: 'trim-above-age',
    says: 'entries go that a restored ledger would need',
    hazard: '11b, 16',
    file: 'reconciler/ingest/trim-stream.ts',
    find: 'if (entry.age_ms > age_ms) low = middle + 1;',
    replace: 'if (entry.age_ms >= 0) low = middle + 1;',
    tests: ['reconciler/ingest/trim-stream.test.ts'],
  },
  // Release
  {
    id: 'ack-of-the-past',
    says: 'a batch applied to a memory that is gone counts as applied',
    hazard: '11',
    file: 'ledger/movements/ack-batch.ts',
    find: 'AND acked_n = $2 - 1 AND epoch = $3',
    replace: 'AND acked_n = $2 - 1 AND $3::bigint > 0',
    tests: ['reconciler/release/release-sale.test.ts'],
    model: 'ack-without-epoch',
  },
  {
    id: 'number-used-twice',
    says: 'a restored ledger gives a number to other movements than Redis has applied',
    hazard: '11b',
    file: 'reconciler/release/release-sale.ts',
    find: 'if (!resend && (await isAhead(deps.redis, sale))) {',
    replace: 'if (false as boolean) {',
    tests: ['reconciler/release/release-sale.test.ts'],
    model: 'seal-blind',
  },
  {
    id: 'two-batches-in-flight',
    says: 'a batch is sealed before the last one was acknowledged',
    hazard: '19, 20',
    file: 'ledger/movements/seal-batch.ts',
    find: 'WHERE sale_no = $1 AND sealed_n = acked_n AND loaded',
    replace: 'WHERE sale_no = $1 AND loaded',
    tests: ['ledger/movements/movements.test.ts'],
  },
  // Deadlines and races in the ledger
  {
    id: 'expiry-without-grace',
    says: 'an outage of the ledger costs buyers their place',
    hazard: '13',
    file: 'ledger/orders/expire-due.ts',
    find: 'AND o.expires_at <= (SELECT expiry_horizon())',
    replace: 'AND o.expires_at <= now()',
    tests: ['ledger/orders/orders.test.ts'],
  },
  {
    id: 'late-money-confirms',
    says: 'money that comes after the hold confirms the order',
    hazard: '14',
    file: 'ledger/payments/settle-attempts.ts',
    find: `WHERE id = ANY ($1) AND state = 'reserved' AND expires_at > (SELECT expiry_horizon())`,
    replace: `WHERE id = ANY ($1) AND state = 'reserved'`,
    tests: ['ledger/payments/payments.test.ts'],
    model: 'late-confirm',
  },
  {
    id: 'clock-ahead',
    says: 'a clock that was ahead puts expiry off for as long',
    hazard: '13',
    file: 'ledger/heartbeat.ts',
    find: `        WHEN up_since > clock_timestamp() THEN clock_timestamp()\n`,
    replace: '',
    tests: ['ledger/orders/orders.test.ts'],
  },
  // Money
  {
    id: 'no-reversal',
    says: 'money of an order that ended stays at the provider',
    hazard: '15',
    file: 'reconciler/saga/steps.ts',
    find: `if (attempt.reversal_wanted) return 'reverse';`,
    replace: '',
    tests: ['reconciler/saga/tables.test.ts'],
    model: 'no-reversal',
  },
  {
    id: 'key-for-ever',
    says: 'an error that a provider repeats is asked for without end',
    hazard: '23',
    file: 'reconciler/saga/steps.ts',
    find: `if (step.erred_ms === null || step.erred_ms < patience.same_key_ms) return step.key_no;`,
    replace: 'if (step.key_no > 0) return step.key_no;',
    tests: ['reconciler/saga/tables.test.ts', 'reconciler/saga/keys.test.ts'],
  },
  {
    id: 'wrong-amount-settled',
    says: 'another amount than asked for pays an order',
    hazard: '15',
    file: 'reconciler/saga/findings.ts',
    find: `if (payment.amount !== attempt.amount) return 'amount';`,
    replace: '',
    tests: ['reconciler/saga/hazards.test.ts'],
    named: 'another amount than asked for is not settled',
  },
  {
    id: 'events-read-too-far',
    says: 'an event that appears behind the last one read is never told',
    hazard: '20',
    file: 'ledger/outbox/horizon.ts',
    find: 'if (!mark || BigInt(xmin) < mark.xid) return;',
    replace: 'if (!mark) return;',
    tests: ['ledger/outbox', 'reconciler/outbox/outbox.test.ts'],
  },
  // Rebuild
  {
    id: 'rebuild-without-claim',
    says: 'a rebuild does not close the sale first',
    hazard: '18b',
    file: 'lua/claim.lua',
    find: `redis.call('HSET', record_key, 'recovery', 'recovering', 'epoch', epoch)`,
    replace: '-- (nothing)',
    tests: ['reconciler/rebuild/fences.test.ts'],
    model: 'rebuild-no-gate',
  },
  {
    id: 'switch-ignores-record',
    says: 'an order taken between drain and switch vanishes',
    hazard: '18b',
    file: 'lua/switch.lua',
    find: `if record.seq ~= old_seq or record.recovery == 'open' and record.identity == identity_now() then`,
    replace: 'if false then',
    tests: ['reconciler/rebuild/fences.test.ts'],
  },
  {
    id: 'late-switch',
    says: 'a rebuilder that wakes up late puts its old state in place',
    hazard: '18b',
    file: 'lua/switch.lua',
    find: 'if tonumber(record.epoch) >= tonumber(epoch) then',
    replace: 'if false then',
    tests: ['reconciler/rebuild/fences.test.ts'],
  },
  {
    id: 'rebuild-no-drain',
    says: 'a rebuild leaves out what the ledger has not read yet',
    hazard: '11b',
    file: 'reconciler/rebuild/drain-sale.ts',
    find: 'if (!(await hasStream(deps.redis, { ...placeOf(sale), generation }))) continue;',
    replace: 'continue;',
    tests: ['reconciler/rebuild/rebuild-sale.test.ts'],
    model: 'no-drain',
  },
  {
    id: 'rebuild-does-not-seal',
    says: 'a rebuild counts stock that a movement will give back once more',
    hazard: '11c',
    file: 'ledger/rebuild/seal-sale.ts',
    find: 'const movements = await changes(client, MARK, [saleNo, cursor.sealed_n + 1]);',
    replace: 'const movements = 0; void MARK;',
    tests: ['reconciler/rebuild/rebuild-sale.test.ts'],
    model: 'seal-apart',
  },
  {
    id: 'replay-window-not-restored',
    says: 'a rebuild brings back the keys of orders that hold units only',
    hazard: '11d',
    file: 'ledger/rebuild/read-sealed.ts',
    find: `WHERE o.sale_no = $1 AND o.reserved_at >= to_timestamp($2::bigint / 1000.0)
  ORDER BY`,
    replace: `WHERE o.sale_no = $1 AND o.held AND o.reserved_at >= to_timestamp($2::bigint / 1000.0)
  ORDER BY`,
    tests: ['reconciler/rebuild/rebuild-sale.test.ts'],
    model: 'no-replay',
  },
  // The edge
  {
    id: 'order-of-another-buyer',
    says: 'a buyer reads the order of another one',
    hazard: 'security',
    file: 'engine/handlers/orders.ts',
    find: `if (!order || order.buyer !== buyer) return refuse('not_found');`,
    replace: `if (!order) return refuse('not_found');`,
    tests: ['engine/every-route.test.ts'],
  },
  {
    id: 'webhook-without-time',
    says: 'a webhook recorded long ago is taken again',
    hazard: '24',
    file: 'payments/signature.ts',
    find: `if (Math.abs(now_ms - Number(seconds) * 1000) > SIGNATURE_TOLERANCE_MS) return 'stale';`,
    replace: '',
    tests: ['payments/adapters/contract.test.ts'],
  },
  {
    id: 'card-number-kept',
    says: 'a card number in a text field is stored',
    hazard: 'security',
    file: 'engine/schemas/card-number.ts',
    find: 'return sum % 10 === 0;',
    replace: 'return sum % 10 === 11;',
    tests: ['engine/schemas/card-number.test.ts'],
  },
  {
    id: 'forwarded-by-anyone',
    says: 'a client chooses the address that limits count',
    hazard: 'security',
    file: 'engine/access/client-address.ts',
    find: 'while (hops.length > 0 && isTrusted(client)) {',
    replace: 'while (hops.length > 0) {',
    tests: ['engine/access', 'engine/limits.test.ts'],
  },
];

/** Small ones of three kinds, really planted in every run of the tests. */
export const QUICK = ['misfit-taken', 'no-reversal', 'card-number-kept'] as const;
