/**
 * From which position of the stream on a sale's gate stood how: what "nothing is reserved behind the close" is held
 * against. Read from the entries of the gate, so it is what Redis did and not what was asked of it. A position
 * that is known already stays: a rebuild may read a stream once more.
 *
 * $1 sale_no, then columns: $2 positions  $3 gates  $4 gate versions  $5 times (ms since 1970, Redis clock)
 */
import type { Gate } from '../../domain/types.ts';
import { type Queryable, rows } from '../../platform/postgres.ts';

const INSERT_GATES = {
  name: 'insert_gates',
  text: `
    INSERT INTO sale_events (sale_no, at, kind, gate, gate_version, seq)
    SELECT $1, to_timestamp(g.at_ms / 1000.0), 'gate', g.gate, g.version, g.seq
    FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[]) AS g (seq, gate, version, at_ms)
    ON CONFLICT DO NOTHING`,
};

export type GatePosition = { seq: number; gate: Gate; version: number; at_ms: number };

export async function insertGates(
  tx: Queryable,
  saleNo: number,
  gates: readonly GatePosition[],
): Promise<void> {
  if (gates.length === 0) return;
  await rows(tx, INSERT_GATES, [
    saleNo,
    gates.map((g) => g.seq),
    gates.map((g) => g.gate),
    gates.map((g) => g.version),
    gates.map((g) => g.at_ms),
  ]);
}
