/**
 * The operator's gate and the clock together: what a buyer meets. Twin of gate_status in lua/reserve.lua.
 */
import type { Gate } from './types.ts';

/** Times in ms since 1970, 0 for none. */
export type GateTimes = { gate: Gate; opens_at_ms: number; closes_at_ms: number };

/** `scheduled` opens by itself at opens_at; closes_at closes whatever else is set. */
export function effectiveGate(times: GateTimes, now_ms: number): Gate {
  if (times.gate === 'closed' || (times.closes_at_ms > 0 && now_ms >= times.closes_at_ms)) return 'closed';
  if (times.gate === 'paused') return 'paused';
  if (times.gate === 'scheduled' && now_ms < times.opens_at_ms) return 'scheduled';
  return 'open';
}
