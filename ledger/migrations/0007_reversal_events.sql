-- Up Migration

-- Money that had to go back and that the PSP reads as gone: the order stays as it is, and its history tells.
-- Such an event leads from a state to itself.
CREATE FUNCTION attempt_reversed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO order_events (order_id, from_state, to_state, cause, actor)
  SELECT id, state, state, 'payment_' || NEW.state, 'psp' FROM orders WHERE id = NEW.order_id;
  RETURN NULL;
END $$;

CREATE TRIGGER attempt_reversed AFTER UPDATE ON attempts
  FOR EACH ROW WHEN (NEW.reversal_wanted AND NEW.state <> OLD.state AND NEW.state IN ('voided', 'refunded'))
  EXECUTE FUNCTION attempt_reversed();

-- Down Migration

DROP TRIGGER attempt_reversed ON attempts;
DROP FUNCTION attempt_reversed;
