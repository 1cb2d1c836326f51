-- Up Migration

-- The edges of domain/order-machine.ts, and what each does with one unit of an order (a test compares):
-- its counters in the ledger, and what goes back to Redis.
CREATE TABLE order_transitions (
  from_state text NOT NULL,
  to_state text NOT NULL,
  reserved smallint NOT NULL,
  sold smallint NOT NULL,
  to_available smallint NOT NULL,
  from_held smallint NOT NULL,
  PRIMARY KEY (from_state, to_state)
);

INSERT INTO order_transitions (from_state, to_state, reserved, sold, to_available, from_held) VALUES
  ('reserved',   'authorized',      0,  0, 0, 0),
  ('reserved',   'expired',        -1,  0, 1, 1),
  ('reserved',   'payment_failed', -1,  0, 1, 1),
  ('reserved',   'canceled',       -1,  0, 1, 1),
  ('authorized', 'confirmed',      -1,  1, 0, 1),
  ('authorized', 'expired',        -1,  0, 1, 1),
  ('authorized', 'payment_failed', -1,  0, 1, 1),
  ('authorized', 'canceled',       -1,  0, 1, 1),
  ('confirmed',  'shipped',         0,  0, 0, 0),
  ('confirmed',  'canceled',        0, -1, 1, 0),
  ('confirmed',  'refunded',        0,  0, 0, 0),
  ('shipped',    'delivered',       0,  0, 0, 0),
  ('shipped',    'refunded',        0,  0, 0, 0),
  ('delivered',  'refunded',        0,  0, 0, 0);

-- No foreign keys on the rows that ingest writes by the thousand: one transaction of one writer makes an
-- order with its items, and nothing ever deletes any.
CREATE TABLE orders (
  id text COLLATE "C" PRIMARY KEY,
  sale_no bigint NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  buyer text NOT NULL,
  buyer_hash bytea NOT NULL,
  fingerprint bytea NOT NULL,
  state text NOT NULL,
  road text NOT NULL CHECK (road IN ('checkout', 'lock')),
  currency text NOT NULL,
  subtotal bigint NOT NULL,
  discount bigint NOT NULL,
  shipping bigint NOT NULL,
  tax bigint NOT NULL,
  total bigint NOT NULL CHECK (total = subtotal - discount + shipping + tax),
  -- By the Redis clock, as the buyer was told.
  reserved_at timestamptz NOT NULL,
  first_expires_at timestamptz NOT NULL,
  -- By the ledger's clock: the deadline that counts.
  expires_at timestamptz NOT NULL,
  -- Payment start extends a hold once.
  extended boolean NOT NULL DEFAULT false,
  payment_method jsonb,
  shipping_address jsonb,
  -- Units counted against the buyer's limit.
  limit_units bigint NOT NULL CHECK (limit_units >= 0),
  -- Position of the stream entry that took the stock.
  seq bigint NOT NULL,
  cause text NOT NULL,
  actor text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);

-- Holds by deadline: for the sweeper, the earliest deadline of a sale, and orders that stand still.
CREATE INDEX orders_held ON orders (sale_no, expires_at) WHERE state IN ('reserved', 'authorized');

CREATE TABLE order_items (
  order_id text COLLATE "C" NOT NULL,
  -- From 1.
  line smallint NOT NULL,
  sku text COLLATE "C" NOT NULL,
  qty bigint NOT NULL CHECK (qty > 0),
  unit_price bigint NOT NULL CHECK (unit_price >= 0),
  PRIMARY KEY (order_id, line)
);

-- History and outbox in one. Only triggers write it, so no transition can lack its event.
CREATE TABLE order_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  -- Null for the first.
  from_state text,
  to_state text NOT NULL,
  cause text NOT NULL,
  actor text NOT NULL
);

CREATE INDEX order_events_of_order ON order_events (order_id, id);

-- Down Migration

DROP TABLE order_events, order_items, orders, order_transitions;
