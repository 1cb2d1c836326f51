/** Rows of the simulated ledger. Times in ms since 1970 by the ledger's clock; names as in ledger/schema.sql. */
import type { AttemptState } from '../../../domain/attempt-machine.ts';
import type { Contact } from '../../../domain/contact.ts';
import type { OrderState } from '../../../domain/order-machine.ts';
import type { Capture, Gate, PaymentMethod, Road } from '../../../domain/types.ts';
import type { Cursor } from '../../../ledger/stream/cursor.ts';

export type SaleRow = {
  sale_no: number;
  tenant: string;
  id: string;
  route: Buffer;
  salt: Buffer;
  currency: string;
  opens_at: number;
  closes_at: number;
  hold_ms: number;
  limit_per_buyer: number;
  gate: Gate;
  gate_version: number;
  psp: string | null;
  capture: Capture;
};

export type CursorRow = Omit<Cursor, 'rebuild' | 'rebuild_from_generation' | 'rebuild_generation'> & {
  sale_no: number;
};

export type RebuildLedgerRow = {
  id: number;
  sale_no: number;
  reason: string;
  actor: string;
  phase: string;
  attempts: number;
  epoch: number | null;
  generation: number | null;
  from_generation: number | null;
  finished_at: number | null;
};

export type SkuRow = {
  sale_no: number;
  sku: string;
  position: number;
  name: string;
  unit_price: number;
  total: number;
  reserved: number;
  sold: number;
  told_available: number;
  told_held: number;
};

export type OrderRow = {
  id: string;
  sale_no: number;
  tenant: string;
  buyer: string;
  buyer_hash: Buffer;
  fingerprint: Buffer;
  state: OrderState;
  road: Road;
  currency: string;
  discount: number;
  shipping: number;
  tax: number;
  total: number;
  reserved_at: number;
  first_expires_at: number;
  expires_at: number;
  extended: boolean;
  payment_method: PaymentMethod | null;
  contact: Contact | null;
  limit_units: number;
  seq: number;
  cause: string;
  actor: string;
  updated_at: number;
  restock: boolean;
};

export type ItemRow = { line: number; sku: string; qty: number; unit_price: number };
/** All of one order in one row. */
export type ItemsRow = { order_id: string; items: readonly ItemRow[] };

export type MovementRow = {
  id: number;
  sale_no: number;
  order_id: string | null;
  sku: string;
  to_available: number;
  from_held: number;
  buyer_hash: Buffer | null;
  buyer_units: number;
  n: number | null;
  cause: string;
};

export type EventRow = {
  id: number;
  order_id: string;
  from_state: OrderState | null;
  to_state: OrderState;
  cause: string;
  actor: string;
};

export type AttemptLedgerRow = {
  id: string;
  order_id: string;
  no: number;
  psp: string;
  method_type: string;
  token: string;
  amount: number;
  currency: string;
  state: AttemptState;
  reversal_wanted: boolean;
  psp_ref: string | null;
  decline_code: string | null;
  tries: number;
  next_look_at: number;
  created_at: number;
  updated_at: number;
  next_action: { type: 'wait' | 'redirect' | 'upi'; url?: string } | null;
  key_no: number;
  capture_by: number | null;
  refunded: number;
  erred_at: number | null;
  absent_at: number | null;
};

export type RefundLedgerRow = {
  id: string;
  order_id: string;
  attempt_id: string;
  key: string;
  amount: number;
  reason: string | null;
  actor: string;
  state: 'wanted' | 'done' | 'refused';
  psp_ref: string | null;
  refusal_code: string | null;
  key_no: number;
  tries: number;
  next_look_at: number;
  created_at: number;
  updated_at: number;
  erred_at: number | null;
};

export type ShipmentRow = {
  order_id: string;
  carrier: string | null;
  tracking_number: string | null;
  tracking_url: string | null;
  actor: string;
};

export type HeartbeatRow = { up_since: number; beat_at: number; period_ms: number; grace_ms: number };

export type PspEventLedgerRow = {
  id: number;
  provider: string;
  event_id: string;
  body: unknown;
  received_at: number;
  settled_at: number | null;
  tries: number;
  next_look_at: number;
};

export type RequestRow = {
  sale_no: number;
  key: string;
  kind: string;
  fingerprint: Buffer;
  answer: unknown;
  created_at: number;
};

export type ExpiredHoldsRow = { sale_no: number; buyer_hash: Buffer; holds: number; last_at: number };

export type JobRow = {
  id: string;
  name: string;
  data: object;
  state: 'created' | 'retry' | 'active' | 'completed' | 'failed';
  retry_count: number;
  start_after: number;
  started_at: number | null;
  created_at: number;
};
