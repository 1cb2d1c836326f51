-- Up Migration

-- Why a movement was made: an order released its units, Redis had let in an order that did not fit, or one that the
-- ledger knew already, or an operator added units. Only `released` counts towards "exactly once".
ALTER TABLE movements ADD COLUMN cause text NOT NULL DEFAULT 'released'
  CHECK (cause IN ('released', 'rejected', 'replayed', 'topup'));
UPDATE movements SET cause = 'topup' WHERE order_id IS NULL;

-- What happened to a sale itself: its SKUs as they were created, units added and taken out, and from which position of
-- the stream on its gate stood how. Ids come from the sequence of order_events, so that both together are one history.
CREATE TABLE sale_events (
  id bigint PRIMARY KEY DEFAULT nextval('order_events_id_seq'),
  sale_no bigint NOT NULL REFERENCES sales,
  at timestamptz NOT NULL DEFAULT now(),
  kind text NOT NULL CHECK (kind IN ('created', 'topup', 'reduce', 'gate')),
  -- Of stock: by how much `total` changed, and what it became.
  sku text COLLATE "C",
  change bigint,
  total bigint,
  unit_price bigint,
  -- Of the gate: reservations behind this position met it so. 0: as the sale was loaded.
  gate text CHECK (gate IN ('scheduled', 'open', 'paused', 'closed')),
  gate_version bigint,
  seq bigint,
  CHECK (CASE WHEN kind = 'gate' THEN num_nonnulls(gate, gate_version, seq) = 3 AND num_nonnulls(sku, change, total) = 0
    ELSE num_nonnulls(gate, gate_version, seq) = 0 AND num_nonnulls(sku, change, total) = 3 END)
);

CREATE INDEX sale_events_of_sale ON sale_events (sale_no, id);
CREATE UNIQUE INDEX sale_events_gates ON sale_events (sale_no, seq) WHERE kind = 'gate';

-- As for order_events: the transaction has its number before the event has its id.
CREATE TRIGGER sale_events_coming BEFORE INSERT ON sale_events
  FOR EACH STATEMENT EXECUTE FUNCTION order_events_coming();

INSERT INTO sale_events (sale_no, kind, sku, change, total, unit_price)
  SELECT sale_no, 'created', sku, total, total, unit_price FROM skus ORDER BY sale_no, position;

-- Whoever changes `total`, by whatever statement, leaves an event.
CREATE FUNCTION sku_total_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  change bigint := NEW.total - CASE TG_OP WHEN 'UPDATE' THEN OLD.total ELSE 0 END;
BEGIN
  INSERT INTO sale_events (sale_no, kind, sku, change, total, unit_price)
  VALUES (NEW.sale_no, CASE WHEN TG_OP = 'INSERT' THEN 'created' WHEN change > 0 THEN 'topup' ELSE 'reduce' END,
    NEW.sku, change, NEW.total, NEW.unit_price);
  RETURN NULL;
END $$;

CREATE TRIGGER sku_created AFTER INSERT ON skus FOR EACH ROW EXECUTE FUNCTION sku_total_changed();
CREATE TRIGGER sku_total_changed AFTER UPDATE OF total ON skus
  FOR EACH ROW WHEN (OLD.total <> NEW.total) EXECUTE FUNCTION sku_total_changed();

-- The hash chain over a sale's history, as far as it has been computed: in the order of ids, up to the horizon behind which
-- nothing can still appear. `events` counts the links.
CREATE TABLE event_chains (
  sale_no bigint PRIMARY KEY REFERENCES sales,
  events bigint NOT NULL CHECK (events > 0),
  last_id bigint NOT NULL,
  head bytea NOT NULL CHECK (octet_length(head) = 32),
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Where the chain stood every thousand links or so: they tell where a history was changed afterwards.
CREATE TABLE event_chain_marks (
  sale_no bigint NOT NULL REFERENCES sales,
  events bigint NOT NULL,
  last_id bigint NOT NULL,
  head bytea NOT NULL CHECK (octet_length(head) = 32),
  at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (sale_no, events)
);

-- What the audit last found, by sale and check. `violations` must be 0.
CREATE TABLE audit_checks (
  sale_no bigint NOT NULL REFERENCES sales,
  name text COLLATE "C" NOT NULL,
  violations bigint NOT NULL,
  -- Some of what is wrong: orders, SKUs or buyers' hashes.
  examples text[] NOT NULL DEFAULT '{}',
  checked_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (sale_no, name)
) WITH (fillfactor = 70);

-- Down Migration

DROP TABLE audit_checks, event_chain_marks, event_chains;
DROP TRIGGER sku_total_changed ON skus;
DROP TRIGGER sku_created ON skus;
DROP FUNCTION sku_total_changed;
DROP TABLE sale_events;
ALTER TABLE movements DROP COLUMN cause;
