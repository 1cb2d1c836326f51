/**
 * The operator's gate: the ledger first, with a version that only grows; the reconciler and whoever set
 * it take it to Redis. Closing is for good.
 *
 * LOCK: $1 tenant  $2 sale   SET: $1 sale_no  $2 gate
 */
import type { Gate } from '../../domain/types.ts';
import { type Pool, rows, withTransaction } from '../../platform/postgres.ts';

const LOCK_SALE = {
  name: 'set_gate_lock',
  text: `
    SELECT sale_no, gate, gate_version, opens_at > now() AS ahead FROM sales
    WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE`,
};

const SET_GATE = {
  name: 'set_gate',
  text: `
    UPDATE sales SET gate = $2, gate_version = gate_version + 1 WHERE sale_no = $1
    RETURNING gate_version`,
};

export const GATE_ACTIONS = ['open', 'pause', 'resume', 'close'] as const;
export type GateAction = (typeof GATE_ACTIONS)[number];

/** gate -> what an action makes of it. Missing: the gate does not allow it. `resumed` is told by the opening time. */
const ACTIONS: Record<GateAction, Partial<Record<Gate, Gate | 'resumed'>>> = {
  open: { scheduled: 'open', open: 'open', paused: 'open' },
  pause: { scheduled: 'paused', open: 'paused', paused: 'paused' },
  resume: { scheduled: 'scheduled', open: 'open', paused: 'resumed' },
  close: { scheduled: 'closed', open: 'closed', paused: 'closed', closed: 'closed' },
};

export type GateSet =
  /** `same`: it was so already. Either way take `version` to Redis before telling the operator. */
  | { kind: 'set' | 'same'; sale_no: number; gate: Gate; version: number }
  | { kind: 'invalid_state'; gate: Gate }
  | { kind: 'not_found' };

export function setGate(pool: Pool, tenant: string, sale: string, action: GateAction): Promise<GateSet> {
  return withTransaction(pool, async (tx): Promise<GateSet> => {
    const [row] = await rows<{ sale_no: number; gate: Gate; gate_version: number; ahead: boolean | null }>(
      tx,
      LOCK_SALE,
      [tenant, sale],
    );
    if (!row) return { kind: 'not_found' };
    const wanted = ACTIONS[action][row.gate];
    if (!wanted) return { kind: 'invalid_state', gate: row.gate };
    const gate = wanted === 'resumed' ? (row.ahead ? 'scheduled' : 'open') : wanted;
    if (gate === row.gate) return { kind: 'same', sale_no: row.sale_no, gate, version: row.gate_version };
    const [{ gate_version }] = await rows<{ gate_version: number }>(tx, SET_GATE, [row.sale_no, gate]);
    return { kind: 'set', sale_no: row.sale_no, gate, version: gate_version };
  });
}
