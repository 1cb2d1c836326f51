/** Hands events on to be delivered, once the journal has them, as the faults of webhooks allow. */
import type { Fault, FaultKind, Faults } from './faults.ts';
import type { Journal } from './journal.ts';
import type { Settings } from './settings.ts';
import type { Webhooks } from './webhooks.ts';
import { OWN, type WireEvent } from './wires/wire.ts';

export type Teller = { tell(event: WireEvent): void; close(): void };

const LATE_MS = 180_000;
/** One that is to come after the next goes by itself if no next one comes. */
const HELD_MS_MAX = 2_000;

export function createTeller(parts: {
  journal: Journal;
  faults: Faults;
  settings: Settings;
  webhooks: Webhooks;
}): Teller {
  const { journal, faults, settings, webhooks } = parts;
  const timers = new Set<NodeJS.Timeout>();
  /** Sent after whatever is sent next. */
  const held = new Map<NodeJS.Timeout, () => void>();

  function after(wait_ms: number, run: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      timers.delete(timer);
      run();
    }, wait_ms);
    timers.add(timer);
    return timer;
  }

  function send(event: WireEvent, copies: number): void {
    webhooks.send(event, copies);
    for (const [timer, run] of [...held]) {
      clearTimeout(timer);
      held.delete(timer);
      run();
    }
  }

  function hold(event: WireEvent, copies: number): void {
    const timer = after(HELD_MS_MAX * settings.time_scale, () => {
      held.delete(timer);
      webhooks.send(event, copies);
    });
    held.set(timer, () => webhooks.send(event, copies));
  }

  return {
    tell(event) {
      // Nobody hears of what the journal does not have.
      void journal.written().then(() => {
        const struck = faults.strike('webhook', event.payment.provider ?? OWN);
        const has = (kind: FaultKind) => struck.some((fault) => fault.kind === kind);
        if (has('lose')) return journal.append({ kind: 'event_over', event_id: event.id });
        const copies = has('double') ? 2 : 1;
        const late_ms = lateness(struck) * settings.time_scale;
        if (late_ms > 0) after(late_ms, () => send(event, copies));
        else if (has('reorder')) hold(event, copies);
        else send(event, copies);
      });
    },
    close() {
      for (const timer of timers) clearTimeout(timer);
    },
  };
}

function lateness(struck: readonly Fault[]): number {
  const all_ms = struck.map(({ kind, delay_ms }) => {
    if (kind === 'late') return delay_ms ?? LATE_MS;
    return kind === 'delay' ? (delay_ms ?? 1_000) : 0;
  });
  return Math.max(0, ...all_ms);
}
