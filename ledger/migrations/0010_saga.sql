-- Up Migration

-- Attempts are asked for by id and by order; what providers tell carries our own name.
DROP INDEX attempts_by_reference;

ALTER TABLE attempts
  -- Since when the present key is answered with errors; null while it is not. A new key is used only long after.
  ADD COLUMN erred_at timestamptz,
  -- Since when a provider that can't close a name reads nothing under it; believed only long after.
  ADD COLUMN absent_at timestamptz;

ALTER TABLE refunds ADD COLUMN erred_at timestamptz;

-- An attempt is written three times within a second, so each write must touch as few indexes as it can: what indexes
-- are chosen by stands in columns of its own, which the way from pending to authorized leaves as they are, and
-- pages have room for one more version of each row (heap-only updates).
ALTER TABLE attempts
  ADD COLUMN live boolean NOT NULL GENERATED ALWAYS AS
    (state IN ('pending', 'unknown', 'authorized', 'captured')) STORED,
  ADD COLUMN unfinished boolean NOT NULL GENERATED ALWAYS AS
    (state IN ('pending', 'unknown', 'authorized') OR (state = 'captured' AND reversal_wanted)) STORED;
ALTER TABLE attempts SET (fillfactor = 50);
DROP INDEX attempts_one_live, attempts_unfinished;
CREATE UNIQUE INDEX attempts_one_live ON attempts (order_id) WHERE live;
CREATE INDEX attempts_unfinished ON attempts (next_look_at) WHERE unfinished;

-- As for order_items: an attempt is made from its order's row, under its lock, and nothing ever deletes an order.
ALTER TABLE attempts DROP CONSTRAINT attempts_order_id_fkey;

-- What every change of attempts does, whoever makes it, for all rows of a statement at once: the move must be an edge
-- of attempt_transitions, a reversal stays wanted, and where money was taken, refused or given back the order's
-- history tells. Such an event leads from the order's state to itself.
CREATE FUNCTION attempts_changed() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off
AS $$
DECLARE
  froms text[];
  tos text[];
  order_ids text[];
  details jsonb[];
  unwanted text;
  refused text;
BEGIN
  -- Grouped and not joined, as in orders_updated. Of the same attempt the row before tells what was given back already.
  SELECT array_agg(was) FILTER (WHERE was <> becomes), array_agg(becomes) FILTER (WHERE was <> becomes),
    array_agg(order_id) FILTER (WHERE was <> becomes),
    array_agg(CASE becomes
      WHEN 'declined' THEN jsonb_build_object('code', decline_code)
      WHEN 'refunded' THEN jsonb_build_object('amount', amount - given_back, 'currency', currency)
      ELSE jsonb_build_object('amount', amount, 'currency', currency)
    END) FILTER (WHERE was <> becomes),
    min(id::text) FILTER (WHERE was_wanted AND NOT is_wanted)
  INTO froms, tos, order_ids, details, unwanted
  FROM (
    SELECT id, max(was) AS was, max(becomes) AS becomes, max(order_id) AS order_id, max(given_back) AS given_back,
      max(amount) AS amount, max(currency) AS currency, max(decline_code) AS decline_code,
      bool_or(was_wanted) AS was_wanted, bool_or(is_wanted) AS is_wanted
    FROM (
      SELECT id, state AS was, NULL AS becomes, NULL AS order_id, refunded AS given_back, NULL::bigint AS amount,
        NULL AS currency, NULL AS decline_code, reversal_wanted AS was_wanted, NULL::boolean AS is_wanted
      FROM before
      UNION ALL
      SELECT id, NULL, state, order_id, NULL, amount, currency, decline_code, NULL, reversal_wanted FROM after
    ) AS sides
    GROUP BY id
  ) AS pairs;
  IF unwanted IS NOT NULL THEN
    RAISE EXCEPTION 'attempt %: a reversal stays wanted', unwanted USING ERRCODE = 'check_violation';
  END IF;
  IF tos IS NULL THEN
    RETURN NULL;
  END IF;

  SELECT min(format('an attempt of order %s may not go from %s to %s', edges.order_id, edges.was, edges.becomes))
  INTO refused
  FROM (
    SELECT c.was, c.becomes, min(c.order_id) AS order_id
    FROM unnest(order_ids, froms, tos) AS c (order_id, was, becomes) GROUP BY 1, 2
  ) AS edges
  LEFT JOIN attempt_transitions t ON t.from_state = edges.was AND t.to_state = edges.becomes
  WHERE t.from_state IS NULL;
  IF refused IS NOT NULL THEN
    RAISE EXCEPTION '%', refused USING ERRCODE = 'check_violation', CONSTRAINT = 'attempt_transitions';
  END IF;
  IF NOT tos && ARRAY['captured', 'declined', 'voided', 'refunded'] THEN
    RETURN NULL;
  END IF;

  INSERT INTO order_events (order_id, from_state, to_state, cause, actor, detail)
  SELECT o.id, o.state, o.state, 'payment_' || c.becomes, 'psp', c.detail
  FROM unnest(order_ids, tos, details) AS c (order_id, becomes, detail)
  JOIN orders o ON o.id = c.order_id
  WHERE c.becomes IN ('captured', 'declined', 'voided', 'refunded')
  ORDER BY o.id;
  RETURN NULL;
END $$;

DROP TRIGGER attempts_updated ON attempts;
DROP TRIGGER attempt_reversed ON attempts;
DROP FUNCTION attempts_updated, attempt_reversed;
CREATE TRIGGER attempts_changed AFTER UPDATE ON attempts
  REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION attempts_changed();

ALTER TABLE orders SET (fillfactor = 50);

-- A part that an operator wanted given back: decided once, and the order's history tells when it is done.
CREATE FUNCTION refund_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state = OLD.state THEN
    RETURN NULL;
  END IF;
  IF OLD.state <> 'wanted' THEN
    RAISE EXCEPTION 'refund % may not go from % to %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'check_violation', CONSTRAINT = 'refund_transitions';
  END IF;
  INSERT INTO order_events (order_id, from_state, to_state, cause, actor, detail)
  SELECT o.id, o.state, o.state,
    CASE NEW.state WHEN 'done' THEN 'partially_refunded' ELSE 'refund_refused' END, NEW.actor,
    CASE NEW.state
      WHEN 'done' THEN jsonb_build_object('amount', NEW.amount, 'currency', o.currency)
      ELSE jsonb_build_object('amount', NEW.amount, 'currency', o.currency, 'code', NEW.refusal_code)
    END
  FROM orders o WHERE o.id = NEW.order_id;
  RETURN NULL;
END $$;

CREATE TRIGGER refund_changed AFTER UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION refund_changed();

CREATE FUNCTION shipment_recorded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO order_events (order_id, from_state, to_state, cause, actor)
  SELECT o.id, o.state, o.state, 'shipment_recorded', NEW.actor FROM orders o WHERE o.id = NEW.order_id;
  RETURN NULL;
END $$;

CREATE TRIGGER shipment_recorded AFTER INSERT ON shipments FOR EACH ROW EXECUTE FUNCTION shipment_recorded();

-- Down Migration

ALTER TABLE orders SET (fillfactor = 80);

DROP TRIGGER shipment_recorded ON shipments;
DROP TRIGGER refund_changed ON refunds;
DROP TRIGGER attempts_changed ON attempts;
DROP FUNCTION shipment_recorded, refund_changed, attempts_changed;

CREATE FUNCTION attempts_updated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.state <> OLD.state AND NOT EXISTS (
    SELECT FROM attempt_transitions WHERE from_state = OLD.state AND to_state = NEW.state
  ) THEN
    RAISE EXCEPTION 'attempt % may not go from % to %', OLD.id, OLD.state, NEW.state
      USING ERRCODE = 'check_violation', CONSTRAINT = 'attempt_transitions';
  END IF;
  IF OLD.reversal_wanted AND NOT NEW.reversal_wanted THEN
    RAISE EXCEPTION 'attempt %: a reversal stays wanted', OLD.id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;

CREATE TRIGGER attempts_updated BEFORE UPDATE ON attempts
  FOR EACH ROW EXECUTE FUNCTION attempts_updated();

CREATE FUNCTION attempt_reversed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO order_events (order_id, from_state, to_state, cause, actor)
  SELECT id, state, state, 'payment_' || NEW.state, 'psp' FROM orders WHERE id = NEW.order_id;
  RETURN NULL;
END $$;

CREATE TRIGGER attempt_reversed AFTER UPDATE ON attempts
  FOR EACH ROW WHEN (NEW.reversal_wanted AND NEW.state <> OLD.state AND NEW.state IN ('voided', 'refunded'))
  EXECUTE FUNCTION attempt_reversed();

ALTER TABLE attempts ADD CONSTRAINT attempts_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders;
DROP INDEX attempts_one_live, attempts_unfinished;
ALTER TABLE attempts SET (fillfactor = 80);
ALTER TABLE refunds DROP COLUMN erred_at;
ALTER TABLE attempts DROP COLUMN unfinished, DROP COLUMN live, DROP COLUMN absent_at, DROP COLUMN erred_at;
CREATE UNIQUE INDEX attempts_one_live ON attempts (order_id)
  WHERE state IN ('pending', 'unknown', 'authorized', 'captured');
CREATE INDEX attempts_unfinished ON attempts (next_look_at)
  WHERE state IN ('pending', 'unknown', 'authorized') OR (state = 'captured' AND reversal_wanted);
CREATE INDEX attempts_by_reference ON attempts (psp, psp_ref) WHERE psp_ref IS NOT NULL;
