-- Up Migration

-- Holds run out by the hundred thousand. What a row of that costs is bought once a statement where it can be.

-- As for order_items: rows come by the thousand from the sale's own orders, and nothing ever deletes a sale.
ALTER TABLE expired_holds DROP CONSTRAINT expired_holds_sale_no_fkey;

-- As in 0009_money and 0017_roles, but whose an order is and what it counts for are taken from the statement's own rows, and what
-- an edge does is looked up once an edge and not once an order.
CREATE OR REPLACE FUNCTION orders_updated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
SET search_path = public, pg_temp
AS $$
DECLARE
  ids text[];
  froms text[];
  tos text[];
  restocks boolean[];
  causes text[];
  actors text[];
  sale_nos bigint[];
  buyer_hashes bytea[];
  limits bigint[];
  unpaid text[];
  moves_stock boolean;
  ends_unpaid boolean;
  refused text;
  stock record;
BEGIN
  -- Both sides are grouped and not joined: the plan is made once, for the first call's row count, and a
  -- join planned for one row takes a million steps for a thousand.
  SELECT array_agg(id), array_agg(was), array_agg(becomes), array_agg(restock), array_agg(cause), array_agg(actor),
    array_agg(sale_no), array_agg(buyer_hash), array_agg(limit_units)
  INTO ids, froms, tos, restocks, causes, actors, sale_nos, buyer_hashes, limits
  FROM (
    SELECT id, any_value(was) AS was, any_value(becomes) AS becomes, bool_or(restock) AS restock,
      any_value(cause) AS cause, any_value(actor) AS actor, any_value(sale_no) AS sale_no,
      any_value(buyer_hash) AS buyer_hash, any_value(limit_units) AS limit_units
    FROM (
      SELECT id, state AS was, NULL AS becomes, false AS restock, NULL AS cause, NULL AS actor,
        NULL::bigint AS sale_no, NULL::bytea AS buyer_hash, NULL::bigint AS limit_units
      FROM before
      UNION ALL
      SELECT id, NULL, state, restock, cause, actor, sale_no, buyer_hash, limit_units FROM after
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
    WITH edges AS MATERIALIZED (
      SELECT DISTINCT c.was, c.becomes, c.restock FROM unnest(froms, tos, restocks) AS c (was, becomes, restock)
    ), unpaid_edges AS MATERIALIZED (
      SELECT e.was, e.becomes, e.restock FROM edges e
      JOIN order_transitions t ON t.from_state = e.was AND t.to_state = e.becomes AND t.restock = e.restock
      WHERE t.to_available > 0 OR e.becomes = 'refunded'
    )
    SELECT array_agg(c.id) INTO unpaid
    FROM unnest(ids, froms, tos, restocks) AS c (id, was, becomes, restock)
    JOIN unpaid_edges e ON e.was = c.was AND e.becomes = c.becomes AND e.restock = c.restock;
    UPDATE attempts SET reversal_wanted = true, next_look_at = now(), updated_at = now()
    WHERE order_id = ANY (unpaid) AND state IN ('pending', 'unknown', 'authorized', 'captured')
      AND NOT reversal_wanted;
  END IF;
  IF NOT moves_stock THEN
    RETURN NULL;
  END IF;

  WITH edges AS MATERIALIZED (
    SELECT DISTINCT c.was, c.becomes, c.restock FROM unnest(froms, tos, restocks) AS c (was, becomes, restock)
  ), moves AS MATERIALIZED (
    SELECT t.from_state, t.to_state, t.restock, t.reserved, t.sold, t.to_available, t.from_held FROM edges e
    JOIN order_transitions t ON t.from_state = e.was AND t.to_state = e.becomes AND t.restock = e.restock
    WHERE (t.reserved, t.sold, t.to_available, t.from_held) <> (0, 0, 0, 0)
  ), units AS MATERIALIZED (
    SELECT c.sale_no, c.id AS order_id, c.buyer_hash, i.sku,
      i.qty * t.reserved AS reserved, i.qty * t.sold AS sold,
      i.qty * t.to_available AS to_available, i.qty * t.from_held AS from_held,
      CASE WHEN i.line = 1 THEN c.limit_units * t.to_available ELSE 0 END AS buyer_units
    FROM unnest(ids, froms, tos, restocks, sale_nos, buyer_hashes, limits)
      AS c (id, was, becomes, restock, sale_no, buyer_hash, limit_units)
    JOIN moves t ON t.from_state = c.was AND t.to_state = c.becomes AND t.restock = c.restock
    JOIN order_items i ON i.order_id = c.id
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

CREATE OR REPLACE FUNCTION orders_updated() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
SET search_path = public, pg_temp
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

ALTER TABLE expired_holds ADD CONSTRAINT expired_holds_sale_no_fkey FOREIGN KEY (sale_no) REFERENCES sales;
