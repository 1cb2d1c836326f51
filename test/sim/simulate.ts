/** One seed, one world, from its first event to the judge's word. */
import type { Capture } from '../../domain/types.ts';
import { createEngine, type Engine, SALE, TENANT } from './actors/engine.ts';
import { type Crew, type FaultLog, plan } from './actors/faults.ts';
import { createReconciler, type Reconciler } from './actors/reconciler.ts';
import { openShop } from './actors/shop.ts';
import { createRandom } from './core/random.ts';
import { BEGINNING_MS, resume } from './core/scheduler.ts';
import { FAIR } from './core/wire.ts';
import { judgeEnd, judgeMoment, judgeMoney, unsettled } from './judge.ts';
import type { CursorRow, HeartbeatRow, JobRow, SaleRow, SkuRow } from './ledger/rows.ts';
import { skuKey } from './ledger/statements/parts.ts';
import { createWorld, type World } from './world.ts';

export type Simulated = {
  seed: number;
  ok: boolean;
  violations: readonly string[];
  trace: readonly string[];
  /** Equal for equal histories. */
  hash: string;
  steps: number;
  /** Virtual time that went by, ms. */
  virtual_ms: number;
  faults: readonly FaultLog[];
  orders: number;
  acks: number;
  rebuilds: number;
};

/** Faults and bad weather end; from then on everything must come to its end. */
const HEALED_MS = 12_000;
const RUSH_MS = 6_000;
/** What has not come to its end by then never will, ms. */
const PATIENCE_MS = 1_800_000;
/** Of ledger commits, every so many is looked at. */
const LOOK_EVERY = 5;

export async function simulate(seed: number, options: { trace?: boolean } = {}): Promise<Simulated> {
  const draw = createRandom(seed ^ 0x5bd1e995);
  const world = createWorld({
    ...{ seed, trace: options.trace ?? false },
    provider: draw.pick(['closing', 'creating', 'plain'] as const),
    pending: draw.pick([0, 0.1, 0.3]),
  });
  const { scheduler, ledger } = world;
  const initial = createSale(world, draw);
  const rate = draw.pick([0, 0.002, 0.006, 0.015]);
  const weather = { lost_request: rate, lost_reply: rate, slow: rate, slow_ms_max: 4_000 };
  for (const store of ['redis', 'ledger', 'psp', 'http'] as const) {
    world.weather[store] = {
      ...weather,
      ...(store === 'psp' ? { lost_request: 2 * rate, lost_reply: 2 * rate } : {}),
    };
  }

  const crew: Crew = {
    engines: new Array<Engine | undefined>(draw.int(1, 2)).fill(undefined),
    reconcilers: new Array<Reconciler | undefined>(draw.int(1, 2)).fill(undefined),
    start(kind, at) {
      starts += 1;
      if (kind === 'engine') crew.engines[at] = createEngine(world, `engine${at + 1}.${starts}`);
      else crew.reconcilers[at] = createReconciler(world, `reconciler${at + 1}.${starts}`);
    },
  };
  let starts = 0;
  for (const at of crew.engines.keys()) crew.start('engine', at);
  for (const at of crew.reconcilers.keys()) crew.start('reconciler', at);
  const engines = () => crew.engines.filter((engine): engine is Engine => engine !== undefined);
  deliverWebhooks(world, engines);
  wakeWorkers(world, crew);

  let commits = 0;
  world.onCommit.push(() => {
    commits += 1;
    if (commits % LOOK_EVERY === 0) judgeMoment(world);
  });
  world.onEvent.push(() => judgeMoney(world));
  const faults = plan(world, crew, draw.pick([0, 1, 2, 3, 5]), HEALED_MS - 500);
  const shop = openShop({
    ...{ world, engines, buyers: draw.int(2, 7), skus: [...initial.keys()] },
    ...{ operator: draw.chance(0.6), rush_ms: RUSH_MS },
  });
  scheduler.after(HEALED_MS, undefined, () => heal(world, crew));

  let looked_ms = 0;
  let missing: string | undefined;
  const over = () => {
    if (world.violations.length > 0) return true;
    const now = scheduler.now_ms();
    if (now < HEALED_MS + 1_000 || now - looked_ms < 250) return false;
    looked_ms = now;
    missing = shop.busy() > 0 ? 'the shop is busy' : unsettled(world);
    return missing === undefined;
  };
  const why = await scheduler.run(over, PATIENCE_MS);
  if (world.violations.length === 0 && why !== 'until')
    world.violate(`it never comes to its end: ${missing}`);
  if (world.violations.length === 0) {
    judgeEnd(world, { acks: shop.acks, faults: faults.log, forgot_ms: faults.forgot_ms(), initial });
  }
  return {
    ...{ seed, ok: world.violations.length === 0, violations: world.violations, trace: world.trace },
    ...{
      hash: scheduler.hash(),
      steps: scheduler.steps(),
      virtual_ms: scheduler.now_ms(),
      faults: faults.log,
    },
    ...{
      orders: ledger.rows('orders').length,
      acks: shop.acks.length,
      rebuilds: ledger.rows('rebuilds').length,
    },
  };
}

/** The sale as an operator created it. Returns its units by SKU. */
function createSale({ ledger, random }: World, draw: ReturnType<typeof createRandom>): Map<string, number> {
  const units = new Map<string, number>([['a', draw.int(1, 8)]]);
  if (draw.chance(0.5)) units.set('b', draw.int(1, 6));
  const opens_at = draw.chance(0.15) ? BEGINNING_MS + draw.int(500, 4_000) : 0;
  const sale: SaleRow = {
    ...{
      sale_no: 1,
      tenant: TENANT,
      id: SALE,
      route: random.bytes(6),
      salt: random.bytes(32),
      currency: 'USD',
    },
    ...{ opens_at, closes_at: draw.chance(0.1) ? BEGINNING_MS + draw.int(4_000, 12_000) : 0 },
    ...{ hold_ms: draw.int(3_000, 10_000), limit_per_buyer: draw.pick([0, 2, 3, 4]) },
    ...{ gate: opens_at > 0 ? 'scheduled' : 'open', gate_version: 1, psp: null },
    capture: (draw.chance(0.15) ? 'on_shipment' : 'at_once') satisfies Capture,
  };
  const cursor: CursorRow = {
    ...{ sale_no: 1, epoch: 0, opened_epoch: 0, generation: 1, identity: '', seq: 0, digest: null },
    ...{ chain: Buffer.alloc(0), applied_n: 0, sealed_n: 0, acked_n: 0, gate_version_seen: 0 },
    ...{ loaded: false, fenced_reason: null, start_seq: 0 },
  };
  const heartbeat: HeartbeatRow = {
    ...{
      up_since: Number.NEGATIVE_INFINITY,
      beat_at: Number.NEGATIVE_INFINITY,
      period_ms: 2_000,
      grace_ms: 3_000,
    },
  };
  ledger.set((scope) => {
    scope.insert('sales', 1, sale);
    scope.insert('cursors', 1, cursor);
    scope.insert('heartbeat', 1, heartbeat);
    let position = 0;
    for (const [sku, qty] of units) {
      const row: SkuRow = {
        ...{
          sale_no: 1,
          sku,
          position,
          name: sku,
          unit_price: 100 + position,
          total: qty,
          reserved: 0,
          sold: 0,
        },
        ...{ told_available: qty, told_held: 0 },
      };
      scope.insert('skus', skuKey(1, sku), row);
      position += 1;
    }
  });
  return units;
}

function heal(world: World, crew: Crew): void {
  world.note('HEALED');
  for (const store of ['redis', 'ledger', 'psp', 'http'] as const) world.weather[store] = FAIR;
  for (const store of ['redis', 'ledger', 'psp'] as const) world.up[store] = true;
  for (const one of [...crew.engines, ...crew.reconcilers]) if (one) resume(world.scheduler, one.process);
}

const TELLS_MAX = 12;

/** The provider tells of what happened: late, out of order, more than once, and again until somebody has taken it. */
function deliverWebhooks(world: World, engines: () => readonly Engine[]): void {
  const { scheduler, random } = world;
  function deliver(raw: Buffer, tries: number): void {
    scheduler.after(random.delay_ms(20, 6_000), undefined, () => {
      const engine = engines().length > 0 ? random.pick(engines()) : undefined;
      const again = () => {
        if (tries < TELLS_MAX) deliver(raw, tries + 1);
      };
      if (!engine || random.chance(world.weather.http.lost_request)) return again();
      let answered = false;
      scheduler.after(9_000, undefined, () => {
        if (!answered) again();
      });
      scheduler.after(0, engine.process, () => {
        engine.webhook(raw).then(
          (taken) => {
            answered = true;
            if (!taken || random.chance(world.weather.http.lost_reply)) again();
          },
          () => {
            answered = true;
            again();
          },
        );
      });
    });
  }
  world.onEvent.push((event) => {
    const raw = Buffer.from(JSON.stringify(event));
    // Some are lost for ever: looks have to do.
    if (!random.chance(world.weather.psp.lost_reply)) deliver(raw, 1);
    if (random.chance(0.15)) deliver(raw, 1);
  });
}

/** Stands for the polls of the queues' workers: whoever has a job that is due is woken. */
function wakeWorkers(world: World, crew: Crew): void {
  const { scheduler, ledger } = world;
  const look = () => {
    scheduler.after(500, undefined, look);
    const now = BEGINNING_MS + scheduler.now_ms() + world.clock_ms.ledger;
    const due = new Set<string>();
    for (const job of ledger.rows<JobRow>('jobs')) {
      if ((job.state === 'created' || job.state === 'retry') && job.start_after <= now) due.add(job.name);
    }
    for (const queue of due) for (const reconciler of crew.reconcilers) reconciler?.wake(queue);
  };
  look();
}
