-- Up Migration

-- Where the stream of this generation begins: at this position there is no entry that Redis could be known by.
ALTER TABLE cursors ADD COLUMN start_seq bigint NOT NULL DEFAULT 0;

-- Rebuilds of a sale's memory in Redis, asked for, under way or over. While one is not finished, nothing else opens
-- the sale. Progress is told here for whoever looks; what is true stands in cursors.
CREATE TABLE rebuilds (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sale_no bigint NOT NULL REFERENCES sales,
  -- A reason to fence, or 'operator'.
  reason text NOT NULL,
  actor text NOT NULL,
  phase text NOT NULL DEFAULT 'wanted'
    CHECK (phase IN ('wanted', 'draining', 'sealing', 'staging', 'switching', 'done')),
  -- Each begins under an epoch and a generation of its own; what an earlier one left goes nowhere.
  attempts integer NOT NULL DEFAULT 0,
  -- The oldest generation whose keys are to go afterwards.
  from_generation bigint,
  generation bigint,
  epoch bigint,
  start_seq bigint,
  entries_drained bigint NOT NULL DEFAULT 0,
  orders_drained bigint NOT NULL DEFAULT 0,
  -- Positions that nobody has any more.
  entries_lost bigint NOT NULL DEFAULT 0,
  movements_sealed bigint NOT NULL DEFAULT 0,
  -- Records and counters: how many there are to write into Redis, and how many are written.
  rows_total bigint NOT NULL DEFAULT 0,
  rows_staged bigint NOT NULL DEFAULT 0,
  -- Why the last attempt ended, if it did.
  error text,
  requested_at timestamptz NOT NULL DEFAULT now(),
  started_at timestamptz,
  finished_at timestamptz,
  CHECK ((phase = 'done') = (finished_at IS NOT NULL))
);

CREATE UNIQUE INDEX rebuilds_one_at_a_time ON rebuilds (sale_no) WHERE finished_at IS NULL;
CREATE INDEX rebuilds_of_sale ON rebuilds (sale_no, id);

-- Down Migration

DROP TABLE rebuilds;
ALTER TABLE cursors DROP COLUMN start_seq;
