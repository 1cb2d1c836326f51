-- Up Migration

-- An operator's refunds and returns are carried out once per Idempotency-Key, as changes of stock are.
ALTER TABLE operator_requests
  DROP CONSTRAINT operator_requests_kind_check,
  ADD CONSTRAINT operator_requests_kind_check CHECK (kind IN ('topup', 'reduce', 'refund', 'return'));

-- Why an operator gave everything back, for operators. Parts have their own row (refunds).
ALTER TABLE orders ADD COLUMN refund_reason text;

-- Operators page through a sale's orders as they came. New rows come at the right end, and no update moves one.
CREATE INDEX orders_as_they_came ON orders (sale_no, seq, id);

-- What happened to an order, to be read: SELECT * FROM order_history WHERE order_id = '...' ORDER BY event.
CREATE VIEW order_history AS
SELECT
  e.order_id,
  e.id AS event,
  e.at,
  e.from_state,
  e.to_state,
  order_event_type(e.from_state, e.to_state, e.cause) AS type,
  e.cause,
  e.actor,
  (e.detail ->> 'amount')::bigint AS amount,
  e.detail ->> 'currency' AS currency,
  e.detail ->> 'code' AS code,
  o.tenant,
  s.id AS sale,
  o.buyer,
  o.state
FROM order_events e
JOIN orders o ON o.id = e.order_id
JOIN sales s ON s.sale_no = o.sale_no;

-- Down Migration

DROP VIEW order_history;
DROP INDEX orders_as_they_came;
ALTER TABLE orders DROP COLUMN refund_reason;
DELETE FROM operator_requests WHERE kind IN ('refund', 'return');
ALTER TABLE operator_requests
  DROP CONSTRAINT operator_requests_kind_check,
  ADD CONSTRAINT operator_requests_kind_check CHECK (kind IN ('topup', 'reduce'));
