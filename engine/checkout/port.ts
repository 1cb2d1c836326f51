/** What the checkout core takes and answers. Routes speak to it in these words; nothing here knows HTTP. */
import type { Contact } from '../../domain/contact.ts';
import type { Amounts } from '../../domain/pricing.ts';
import type { Line, PaymentMethod, PricedLine, Road, ShippingAddress } from '../../domain/types.ts';
import type { Sale } from '../sales/sale.ts';

export type ReserveRequest = {
  sale: Sale;
  /** `sub` of the token. */
  buyer: string;
  /** Idempotency-Key, without quotes. */
  key: string;
  /** 16 bytes, domain/fingerprint.ts; asked for only where it is needed. */
  fingerprint(): Buffer;
  road: Road;
  /** As sent: equal SKUs are added up here. At least one. */
  lines: readonly Line[];
  payment_method: PaymentMethod | null;
  shipping_address: ShippingAddress | null;
  contact: Contact | null;
};

/** A reservation as first told; a replay gives exactly this again. */
export type Reservation = {
  order_id: string;
  sale_id: string;
  items: readonly PricedLine[];
  amounts: Amounts;
  reserved_at_ms: number;
  expires_at_ms: number;
};

export type ShortLine = { sku: string; requested: number; available: number };

/** Kinds other than `accepted` are codes of the outcome catalogue. */
export type ReserveOutcome =
  | { kind: 'accepted'; replayed: boolean; reservation: Reservation }
  | { kind: 'idempotency_key_reused' }
  | { kind: 'unknown_sku'; sku: string }
  | { kind: 'sale_not_open'; opens_at_ms: number }
  | { kind: 'sale_closed' }
  | { kind: 'sale_paused' }
  | { kind: 'purchase_limit_reached'; limit: number; held: number }
  | { kind: 'sold_out'; short: ShortLine[] }
  /** `earliest_release_ms` by the Redis clock; `now_ms` is that clock's time. */
  | { kind: 'temporarily_held'; short: ShortLine[]; earliest_release_ms: number; now_ms: number }
  | { kind: 'unavailable' }
  | { kind: 'sale_recovering' }
  | { kind: 'overloaded' };

export type Reserve = (request: ReserveRequest) => Promise<ReserveOutcome>;
