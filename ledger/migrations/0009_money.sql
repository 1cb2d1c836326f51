-- Up Migration

-- How a sale is paid: at which provider (null: the deployment's), and when its money is taken.
ALTER TABLE sales
  ADD COLUMN psp text,
  ADD COLUMN capture text NOT NULL DEFAULT 'at_once' CHECK (capture IN ('at_once', 'on_shipment'));

ALTER TABLE orders
  -- {"email"?, "phone"?}: where the buyer is told what happens.
  ADD COLUMN contact jsonb,
  -- Set together with `refunded`: the units go back on sale.
  ADD COLUMN restock boolean NOT NULL DEFAULT false,
  ADD CONSTRAINT restock_is_a_refund CHECK (state = 'refunded' OR NOT restock);

ALTER TABLE attempts
  -- What the buyer has to do while the payment is pending (payments/port.ts, NextAction).
  ADD COLUMN next_action jsonb,
  -- Under which number the present step is asked for; a new one only after a look has proven that nothing was done.
  ADD COLUMN key_no smallint NOT NULL DEFAULT 1 CHECK (key_no > 0),
  -- Until when an authorization can be captured; null while there is none.
  ADD COLUMN capture_by timestamptz,
  -- Minor units that refunds by the operator have given back, as the provider reads it.
  ADD COLUMN refunded bigint NOT NULL DEFAULT 0 CHECK (refunded BETWEEN 0 AND amount);

-- Parts of a captured payment that the operator gives back. Everything at once is no row here: then the order
-- becomes `refunded` and its attempt is reversed.
CREATE TABLE refunds (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  order_id text COLLATE "C" NOT NULL REFERENCES orders,
  attempt_id uuid NOT NULL REFERENCES attempts,
  -- The operator's Idempotency-Key.
  key text COLLATE "C" NOT NULL,
  amount bigint NOT NULL CHECK (amount > 0),
  reason text,
  actor text NOT NULL,
  -- `refused`: the provider said no, and no money moved.
  state text NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'done', 'refused')),
  psp_ref text,
  refusal_code text,
  key_no smallint NOT NULL DEFAULT 1 CHECK (key_no > 0),
  tries integer NOT NULL DEFAULT 0,
  next_look_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (order_id, key)
);

-- One after another: what a provider says it has given back then tells which of them were done.
CREATE UNIQUE INDEX refunds_one_open ON refunds (attempt_id) WHERE state = 'wanted';
CREATE INDEX refunds_unfinished ON refunds (next_look_at) WHERE state = 'wanted';

-- Where an order's parcel is. Recorded first; the order is `shipped` once its money is captured.
CREATE TABLE shipments (
  order_id text COLLATE "C" PRIMARY KEY REFERENCES orders,
  carrier text,
  tracking_number text,
  tracking_url text,
  actor text NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now()
);

-- A refund gives units back only if its verb says so: those edges are there twice.
ALTER TABLE order_transitions ADD COLUMN restock boolean NOT NULL DEFAULT false;
ALTER TABLE order_transitions DROP CONSTRAINT order_transitions_pkey;
ALTER TABLE order_transitions ADD PRIMARY KEY (from_state, to_state, restock);
INSERT INTO order_transitions (from_state, to_state, restock, reserved, sold, to_available, from_held) VALUES
  ('confirmed', 'refunded', true, 0, -1, 1, 0),
  ('shipped',   'refunded', true, 0, -1, 1, 0),
  ('delivered', 'refunded', true, 0, -1, 1, 0);

-- What an event says besides its states: {"amount", "currency"} of money that moved, {"code"} of a refusal.
ALTER TABLE order_events ADD COLUMN detail jsonb;

-- As in 0008_plans_by_key, with restock, and with money wanted back wherever an order ends without goods. Causes and
-- actors are taken from the statement's own rows, each edge of a statement is looked up once, and what no edge of it does
-- is not looked for.
CREATE OR REPLACE FUNCTION orders_updated() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
AS $$
DECLARE
  ids text[];
  froms text[];
  tos text[];
  restocks boolean[];
  causes text[];
  actors text[];
  unpaid text[];
  moves_stock boolean;
  ends_unpaid boolean;
  refused text;
  stock record;
BEGIN
  -- Both sides are grouped and not joined: the plan is made once, for the first call's row count, and a
  -- join planned for one row takes a million steps for a thousand.
  SELECT array_agg(id), array_agg(was), array_agg(becomes), array_agg(restock), array_agg(cause), array_agg(actor)
  INTO ids, froms, tos, restocks, causes, actors
  FROM (
    SELECT id, max(was) AS was, max(becomes) AS becomes, bool_or(restock) AS restock,
      max(cause) AS cause, max(actor) AS actor
    FROM (
      SELECT id, state AS was, NULL AS becomes, false AS restock, NULL AS cause, NULL AS actor FROM before
      UNION ALL
      SELECT id, NULL, state, restock, cause, actor FROM after
    ) AS sides
    GROUP BY id
  ) AS pairs
  WHERE was IS DISTINCT FROM becomes;
  IF ids IS NULL THEN
    RETURN NULL;
  END IF;

  SELECT min(format('order %s may not go from %s to %s', edges.id, edges.was, edges.becomes))
      FILTER (WHERE t.from_state IS NULL),
    bool_or((t.reserved, t.sold, t.to_available, t.from_held) <> (0, 0, 0, 0)),
    bool_or(t.to_available > 0 OR edges.becomes = 'refunded')
  INTO refused, moves_stock, ends_unpaid
  FROM (
    SELECT c.was, c.becomes, c.restock, min(c.id) AS id
    FROM unnest(ids, froms, tos, restocks) AS c (id, was, becomes, restock) GROUP BY 1, 2, 3
  ) AS edges
  LEFT JOIN order_transitions t
    ON t.from_state = edges.was AND t.to_state = edges.becomes AND t.restock = edges.restock;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION '%', refused USING ERRCODE = 'check_violation', CONSTRAINT = 'order_transitions';
  END IF;

  INSERT INTO order_events (order_id, from_state, to_state, cause, actor)
  SELECT c.id, c.was, c.becomes, c.cause, c.actor
  FROM unnest(ids, froms, tos, causes, actors) AS c (id, was, becomes, cause, actor)
  ORDER BY c.id;

  IF ends_unpaid THEN
    SELECT array_agg(c.id) INTO unpaid
    FROM unnest(ids, froms, tos, restocks) AS c (id, was, becomes, restock)
    JOIN order_transitions t ON t.from_state = c.was AND t.to_state = c.becomes AND t.restock = c.restock
    WHERE t.to_available > 0 OR c.becomes = 'refunded';
    UPDATE attempts SET reversal_wanted = true, next_look_at = now(), updated_at = now()
    WHERE order_id = ANY (unpaid) AND state IN ('pending', 'unknown', 'authorized', 'captured')
      AND NOT reversal_wanted;
  END IF;
  IF NOT moves_stock THEN
    RETURN NULL;
  END IF;

  WITH units AS MATERIALIZED (
    SELECT o.sale_no, o.id AS order_id, o.buyer_hash, i.sku,
      i.qty * t.reserved AS reserved, i.qty * t.sold AS sold,
      i.qty * t.to_available AS to_available, i.qty * t.from_held AS from_held,
      CASE WHEN i.line = 1 THEN o.limit_units * t.to_available ELSE 0 END AS buyer_units
    FROM unnest(ids, froms, tos, restocks) AS c (id, was, becomes, restock)
    JOIN order_transitions t ON t.from_state = c.was AND t.to_state = c.becomes AND t.restock = c.restock
      AND (t.reserved, t.sold, t.to_available, t.from_held) <> (0, 0, 0, 0)
    JOIN orders o ON o.id = c.id
    JOIN order_items i ON i.order_id = o.id
  ), given_back AS (
    INSERT INTO movements (sale_no, order_id, sku, to_available, from_held, buyer_hash, buyer_units)
    SELECT sale_no, order_id, sku, to_available, from_held,
      CASE WHEN buyer_units > 0 THEN buyer_hash END, buyer_units
    FROM units
  )
  SELECT array_agg(sale_no) AS sale_nos, array_agg(sku) AS skus,
    array_agg(reserved) AS reserved, array_agg(sold) AS sold
  INTO stock
  FROM (
    SELECT sale_no, sku, sum(reserved)::bigint AS reserved, sum(sold)::bigint AS sold
    FROM units GROUP BY sale_no, sku
  ) AS sums;
  IF stock.skus IS NULL THEN
    RETURN NULL;
  END IF;

  PERFORM FROM skus s
  JOIN unnest(stock.sale_nos, stock.skus) AS d (sale_no, sku) ON s.sale_no = d.sale_no AND s.sku = d.sku
  ORDER BY s.sale_no, s.sku FOR NO KEY UPDATE OF s;
  UPDATE skus s SET reserved = s.reserved + d.reserved, sold = s.sold + d.sold
  FROM unnest(stock.sale_nos, stock.skus, stock.reserved, stock.sold) AS d (sale_no, sku, reserved, sold)
  WHERE s.sale_no = d.sale_no AND s.sku = d.sku;
  RETURN NULL;
END $$;

-- Down Migration

DELETE FROM order_transitions WHERE restock;
ALTER TABLE order_transitions DROP CONSTRAINT order_transitions_pkey;
ALTER TABLE order_transitions DROP COLUMN restock;
ALTER TABLE order_transitions ADD PRIMARY KEY (from_state, to_state);

CREATE OR REPLACE FUNCTION orders_updated() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
AS $$
DECLARE
  ids text[];
  froms text[];
  tos text[];
  released text[];
  refused text;
  stock record;
BEGIN
  -- Both sides are grouped and not joined: the plan is made once, for the first call's row count, and a
  -- join planned for one row takes a million steps for a thousand.
  SELECT array_agg(id), array_agg(was), array_agg(becomes) INTO ids, froms, tos
  FROM (
    SELECT id, max(was) AS was, max(becomes) AS becomes
    FROM (
      SELECT id, state AS was, NULL AS becomes FROM before
      UNION ALL
      SELECT id, NULL, state FROM after
    ) AS sides
    GROUP BY id
  ) AS pairs
  WHERE was IS DISTINCT FROM becomes;
  IF ids IS NULL THEN
    RETURN NULL;
  END IF;

  SELECT format('order %s may not go from %s to %s', c.id, c.was, c.becomes) INTO refused
  FROM unnest(ids, froms, tos) AS c (id, was, becomes)
  LEFT JOIN order_transitions t ON t.from_state = c.was AND t.to_state = c.becomes
  WHERE t.from_state IS NULL
  LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '%', refused USING ERRCODE = 'check_violation', CONSTRAINT = 'order_transitions';
  END IF;

  INSERT INTO order_events (order_id, from_state, to_state, cause, actor)
  SELECT o.id, c.was, c.becomes, o.cause, o.actor
  FROM unnest(ids, froms, tos) AS c (id, was, becomes) JOIN orders o ON o.id = c.id
  ORDER BY o.id;

  SELECT array_agg(c.id) INTO released
  FROM unnest(ids, froms, tos) AS c (id, was, becomes)
  JOIN order_transitions t ON t.from_state = c.was AND t.to_state = c.becomes AND t.to_available > 0;
  IF released IS NOT NULL THEN
    UPDATE attempts SET reversal_wanted = true, next_look_at = now(), updated_at = now()
    WHERE order_id = ANY (released) AND state IN ('pending', 'unknown', 'authorized', 'captured')
      AND NOT reversal_wanted;
  END IF;

  WITH units AS MATERIALIZED (
    SELECT o.sale_no, o.id AS order_id, o.buyer_hash, i.sku,
      i.qty * t.reserved AS reserved, i.qty * t.sold AS sold,
      i.qty * t.to_available AS to_available, i.qty * t.from_held AS from_held,
      CASE WHEN i.line = 1 THEN o.limit_units * t.to_available ELSE 0 END AS buyer_units
    FROM unnest(ids, froms, tos) AS c (id, was, becomes)
    JOIN order_transitions t ON t.from_state = c.was AND t.to_state = c.becomes
      AND (t.reserved, t.sold, t.to_available, t.from_held) <> (0, 0, 0, 0)
    JOIN orders o ON o.id = c.id
    JOIN order_items i ON i.order_id = o.id
  ), given_back AS (
    INSERT INTO movements (sale_no, order_id, sku, to_available, from_held, buyer_hash, buyer_units)
    SELECT sale_no, order_id, sku, to_available, from_held,
      CASE WHEN buyer_units > 0 THEN buyer_hash END, buyer_units
    FROM units
  )
  SELECT array_agg(sale_no) AS sale_nos, array_agg(sku) AS skus,
    array_agg(reserved) AS reserved, array_agg(sold) AS sold
  INTO stock
  FROM (
    SELECT sale_no, sku, sum(reserved)::bigint AS reserved, sum(sold)::bigint AS sold
    FROM units GROUP BY sale_no, sku
  ) AS sums;
  IF stock.skus IS NULL THEN
    RETURN NULL;
  END IF;

  PERFORM FROM skus s
  JOIN unnest(stock.sale_nos, stock.skus) AS d (sale_no, sku) ON s.sale_no = d.sale_no AND s.sku = d.sku
  ORDER BY s.sale_no, s.sku FOR NO KEY UPDATE OF s;
  UPDATE skus s SET reserved = s.reserved + d.reserved, sold = s.sold + d.sold
  FROM unnest(stock.sale_nos, stock.skus, stock.reserved, stock.sold) AS d (sale_no, sku, reserved, sold)
  WHERE s.sale_no = d.sale_no AND s.sku = d.sku;
  RETURN NULL;
END $$;

ALTER TABLE order_events DROP COLUMN detail;
DROP TABLE shipments, refunds;
ALTER TABLE attempts DROP COLUMN refunded, DROP COLUMN capture_by, DROP COLUMN key_no, DROP COLUMN next_action;
ALTER TABLE orders DROP CONSTRAINT restock_is_a_refund, DROP COLUMN restock, DROP COLUMN contact;
ALTER TABLE sales DROP COLUMN capture, DROP COLUMN psp;
