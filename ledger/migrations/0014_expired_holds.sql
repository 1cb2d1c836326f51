-- Up Migration

-- Buyers who let holds run out, by sale: whoever does it again and again has to pause.
CREATE TABLE expired_holds (
  sale_no bigint NOT NULL REFERENCES sales,
  buyer_hash bytea NOT NULL,
  -- One after another, none longer after the one before than a pause lasts.
  holds integer NOT NULL CHECK (holds > 0),
  last_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (sale_no, buyer_hash)
) WITH (fillfactor = 80);

CREATE INDEX expired_holds_many ON expired_holds (last_at) WHERE holds >= 3;

-- Down Migration

DROP TABLE expired_holds;
