/**
 * Where the simulation stands in for a script or a statement, the same mitigation is taken out of its stand-in: what
 * is asked of this layer is whether its histories and its judge would see it. By the id of the bug.
 */
import type { Change } from './bugs.ts';

const VERBS = 'test/sim/redis/verbs.ts';
const RULE = 'domain/stock-model.ts';
const STREAM = 'test/sim/ledger/statements/stream.ts';
const ORDERS = 'test/sim/ledger/statements/orders.ts';
const PAYMENTS = 'test/sim/ledger/statements/payments.ts';
const REBUILD = 'test/sim/ledger/statements/rebuild.ts';

export const SIMULATED: Readonly<Record<string, Change>> = {
  'no-fence': {
    file: VERBS,
    find: `if (record.get('recovery') === 'open' && (record.get('identity') !== context.identity || known < epoch)) {`,
    replace: 'if (false as boolean) {',
  },
  'key-forgotten': {
    file: VERBS,
    find: `return found && { fingerprint: latin1(found.bytes.subarray(0, 16)), taken: [] };`,
    replace: 'return undefined;',
  },
  'key-twice-in-a-batch': { file: VERBS, find: 'if (known) return known;', replace: '' },
  'fingerprint-ignored': {
    file: RULE,
    find: `status: record.fingerprint === request.fingerprint ? 'replay' : 'key_reused'`,
    replace: `status: 'replay'`,
  },
  oversell: {
    file: RULE,
    find: 'qty > at(state.available, sku));\n',
    replace: 'qty > 1_000 + at(state.available, sku));\n',
  },
  'limit-ignored': {
    file: RULE,
    find: 'state.limit > 0 && owned + units > state.limit',
    replace: 'false as boolean',
  },
  'late-batch-takes': {
    file: RULE,
    find: `if (times.now_ms > times.not_after_ms) return { status: 'late' };`,
    replace: '',
  },
  'closed-sale-sells': {
    file: RULE,
    find: `if (gate !== 'open') return`,
    replace: `if (gate !== 'open' && gate !== 'closed') return`,
  },
  'movement-twice': {
    file: RULE,
    find: `if (batch.n <= state.applied_n) return 'already';
  const possible =
    batch.n === state.applied_n + 1 &&`,
    replace: 'const possible =',
  },
  'movement-gap': { file: RULE, find: 'batch.n === state.applied_n + 1 &&', replace: '' },
  'gate-forgotten': {
    file: VERBS,
    find: 'setGate(context, record, stream_key, Number(version), wanted as Gate);',
    replace: '',
  },
  'late-reason-counts': {
    file: STREAM,
    find: `c.epoch === epoch &&
        (c.fenced_reason === null`,
    replace: '(c.fenced_reason === null',
  },
  'issue-blind': { file: STREAM, find: 'c.acked_n <= applied_n && ', replace: '' },
  'cursor-no-cas': {
    file: STREAM,
    find: '(c) => c.epoch === epoch && c.seq === from,',
    replace: '() => true,',
  },
  'ack-of-the-past': {
    file: STREAM,
    find: 'c.acked_n === n - 1 && c.epoch === epoch,',
    replace: 'c.acked_n === n - 1,',
  },
  'two-batches-in-flight': {
    file: STREAM,
    find: 'cursor?.loaded && cursor.sealed_n === cursor.acked_n ?',
    replace: 'cursor?.loaded ?',
  },
  'expiry-without-grace': {
    file: ORDERS,
    find: 'isHeld(o.state) && o.expires_at <= horizon',
    replace: 'isHeld(o.state) && o.expires_at <= scope.now_ms',
  },
  'late-money-confirms': {
    file: PAYMENTS,
    find: `(o) => o.state === 'reserved' && o.expires_at > horizon);`,
    replace: `(o) => o.state === 'reserved');`,
  },
  'clock-ahead': {
    file: STREAM,
    find: 'const up_since = Math.min(up, now);',
    replace: 'const up_since = up;',
  },
  'rebuild-without-claim': {
    file: VERBS,
    find: `record.set('recovery', 'recovering').set('epoch', latin1(ARGV[0]));`,
    replace: '',
  },
  'switch-ignores-record': {
    file: VERBS,
    find: `if (String(record.get('seq')) !== old_seq || open) return reply('changed');`,
    replace: '',
  },
  'late-switch': {
    file: VERBS,
    find: `if (Number(now_epoch) >= Number(epoch)) return reply('late');`,
    replace: '',
  },
  'rebuild-does-not-seal': {
    file: 'ledger/rebuild/seal-sale.ts',
    find: 'const movements = await changes(client, MARK, [saleNo, cursor.sealed_n + 1]);',
    replace: 'const movements = 0; void MARK;',
  },
  'replay-window-not-restored': {
    file: REBUILD,
    find: 'const found = ordersOf(scope, sale_no, since_ms).sort(',
    replace: 'const found = ordersOf(scope, sale_no, since_ms).filter((o) => isHeld(o.state)).sort(',
  },
};
