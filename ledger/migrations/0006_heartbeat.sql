-- Up Migration

-- Since when the ledger has been up and followed, in one row: reconcilers beat once a period. A gap of more
-- than two periods was an outage, and every hold then gets a grace from its end.
CREATE TABLE heartbeat (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  up_since timestamptz NOT NULL DEFAULT '-infinity',
  beat_at timestamptz NOT NULL DEFAULT '-infinity',
  period_ms bigint NOT NULL DEFAULT 2000 CHECK (period_ms > 0),
  grace_ms bigint NOT NULL DEFAULT 30000 CHECK (grace_ms >= 0)
);

INSERT INTO heartbeat DEFAULT VALUES;

-- THE EXPIRY RULE: an order is over when its expires_at <= expiry_horizon(). That says
--   greatest(expires_at, ledger_up_since + grace) <= now()
-- in a form that can use an index; nobody is over while the heartbeat is older than two periods.
CREATE FUNCTION expiry_horizon() RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN beat_at > now() - 2 * period_ms * interval '1 millisecond'
      AND up_since + grace_ms * interval '1 millisecond' <= now() THEN now()
    ELSE '-infinity'
  END
  FROM heartbeat
$$;

-- Down Migration

DROP FUNCTION expiry_horizon;
DROP TABLE heartbeat;
