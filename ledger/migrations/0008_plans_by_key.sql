-- Up Migration

-- Plans that stay right when a table that was empty fills within a minute, which is what a sale does: statistics are
-- older than that, so no plan may rest on "there are hardly any". Statements find rows by key, and only sweeps use the
-- index of the holds: its predicate is a column of its own, so that `state = 'reserved'` beside ids does not invite the
-- planner to read every hold instead.
ALTER TABLE orders ADD COLUMN held boolean NOT NULL GENERATED ALWAYS AS (state IN ('reserved', 'authorized')) STORED;
DROP INDEX orders_held;
CREATE INDEX orders_held ON orders (sale_no, expires_at) WHERE held;

-- As in 0005_machines, with joins by key alone, and attempts found by an array of ids.
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

-- Down Migration

CREATE OR REPLACE FUNCTION orders_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  ids text[];
  froms text[];
  tos text[];
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

  UPDATE attempts a SET reversal_wanted = true, next_look_at = now(), updated_at = now()
  FROM unnest(ids, froms, tos) AS c (id, was, becomes)
  JOIN order_transitions t ON t.from_state = c.was AND t.to_state = c.becomes AND t.to_available > 0
  WHERE a.order_id = c.id AND a.state IN ('pending', 'unknown', 'authorized', 'captured')
    AND NOT a.reversal_wanted;

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

ALTER FUNCTION orders_updated RESET ALL;
DROP INDEX orders_held;
ALTER TABLE orders DROP COLUMN held;
CREATE INDEX orders_held ON orders (sale_no, expires_at) WHERE state IN ('reserved', 'authorized');
