-- Up Migration

-- The ledger's stock log: what goes back to Redis. Sealed into numbered batches, because ids become
-- visible out of order and numbers must not.
CREATE TABLE movements (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sale_no bigint NOT NULL,
  -- Null for a top-up.
  order_id text COLLATE "C",
  sku text COLLATE "C" NOT NULL,
  to_available bigint NOT NULL CHECK (to_available >= 0),
  from_held bigint NOT NULL CHECK (from_held >= 0),
  -- Units given back to a buyer's limit; an order's stand in the movement of its first line.
  buyer_hash bytea,
  buyer_units bigint NOT NULL DEFAULT 0 CHECK (buyer_units >= 0 AND (buyer_units = 0 OR buyer_hash IS NOT NULL)),
  -- Number of the batch that carries it; null until it is sealed.
  n bigint
) WITH (fillfactor = 80);

CREATE INDEX movements_unsealed ON movements (sale_no, id) WHERE n IS NULL;
CREATE INDEX movements_by_batch ON movements (sale_no, n) WHERE n IS NOT NULL;

-- Down Migration

DROP TABLE movements;
