/** POST and GET /v1/admin/sales/{id}/rebuild: the sale's memory in Redis anew from the ledger, and how far that is. */
import { findRebuild, requestRebuild, type SaleRebuild } from '../../ledger/rebuild/rebuilds.ts';
import { LEDGER_WRITE_MS } from '../ledger-guard.ts';
import { iso, json, refuse } from '../reply.ts';
import type { Handler } from '../route.ts';
import type { Services } from './services.ts';

export function adminRebuildHandlers({ db, ledger }: Pick<Services, 'db' | 'ledger'>) {
  /** The reconciler carries it out; one that is under way is told again. */
  const request: Handler<unknown> = async ({ head, caller }) => {
    const [id] = head.params;
    const asked = await ledger.ask(() => requestRebuild(db, caller.tenant, id, caller.sub), LEDGER_WRITE_MS);
    if (asked.kind === 'not_found') return refuse('not_found');
    if (asked.kind === 'not_loaded') return refuse('sale_recovering');
    const where = ['Location', `/v1/admin/sales/${id}/rebuild`, 'Cache-Control', 'no-store'];
    return json(202, rebuildView(id, asked), where);
  };

  const progress: Handler = async ({ head, caller }) => {
    const [id] = head.params;
    const found = await ledger.ask(() => findRebuild(db, caller.tenant, id), LEDGER_WRITE_MS);
    return found ? json(200, rebuildView(id, found), ['Cache-Control', 'no-store']) : refuse('not_found');
  };

  return { request, progress };
}

const time = (at: Date | null) => at && iso(at.getTime());

function rebuildView(id: string, { fenced_reason, rebuild }: SaleRebuild) {
  return {
    id,
    fenced_reason,
    rebuild: rebuild && {
      phase: rebuild.phase,
      reason: rebuild.reason,
      actor: rebuild.actor,
      requested_at: time(rebuild.requested_at),
      started_at: time(rebuild.started_at),
      finished_at: time(rebuild.finished_at),
      attempts: rebuild.attempts,
      staged: rebuild.rows_staged,
      total: rebuild.rows_total,
      epoch: rebuild.epoch,
      generation: rebuild.generation,
      seq: rebuild.start_seq,
      drained: {
        entries: rebuild.entries_drained,
        orders: rebuild.orders_drained,
        lost: rebuild.entries_lost,
      },
      error: rebuild.error,
    },
  };
}
