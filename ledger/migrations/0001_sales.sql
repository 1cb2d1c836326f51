-- Up Migration

-- Ids compare byte by byte (COLLATE "C"): rows are locked in this order, and TypeScript sorts the same way.

CREATE TABLE sales (
  sale_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  -- In every order id: which sale it belongs to.
  route bytea NOT NULL UNIQUE CHECK (octet_length(route) = 6),
  salt bytea NOT NULL CHECK (octet_length(salt) = 32),
  currency text NOT NULL,
  opens_at timestamptz,
  closes_at timestamptz,
  hold_ms bigint NOT NULL CHECK (hold_ms > 0),
  -- Units a buyer may hold and own; 0 for no limit.
  limit_per_buyer bigint NOT NULL CHECK (limit_per_buyer >= 0),
  gate text NOT NULL CHECK (gate IN ('scheduled', 'open', 'paused', 'closed')),
  gate_version bigint NOT NULL DEFAULT 1,
  -- The creating request: the same again is answered again, another one conflicts.
  body jsonb NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant, id)
);

-- Stock. The CHECK is the second fence against overselling: whatever Redis let in, this does not.
CREATE TABLE skus (
  sale_no bigint NOT NULL REFERENCES sales,
  sku text COLLATE "C" NOT NULL,
  position integer NOT NULL,
  name text NOT NULL,
  unit_price bigint NOT NULL CHECK (unit_price >= 0),
  total bigint NOT NULL,
  reserved bigint NOT NULL DEFAULT 0,
  sold bigint NOT NULL DEFAULT 0,
  -- What Redis told at the cursor; before the sale is loaded, what it is going to be told.
  told_available bigint NOT NULL,
  told_held bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (sale_no, sku),
  UNIQUE (sale_no, position),
  CONSTRAINT stock_is_never_oversold CHECK (reserved >= 0 AND sold >= 0 AND reserved + sold <= total)
) WITH (fillfactor = 50);

-- How far the ledger has followed each sale's stream, and which memory of Redis it has checked.
CREATE TABLE cursors (
  sale_no bigint PRIMARY KEY REFERENCES sales,
  -- The highest epoch issued, and the one that Redis was last known to have taken.
  epoch bigint NOT NULL DEFAULT 0,
  opened_epoch bigint NOT NULL DEFAULT 0,
  generation bigint NOT NULL DEFAULT 1,
  identity text NOT NULL DEFAULT '',
  -- Position of the last entry ingested, its digest, and the chain of all digests up to it.
  seq bigint NOT NULL DEFAULT 0,
  digest bytea,
  chain bytea NOT NULL DEFAULT '\x',
  -- Movement batches: applied at the cursor <= acknowledged or about to be <= sealed.
  applied_n bigint NOT NULL DEFAULT 0,
  sealed_n bigint NOT NULL DEFAULT 0,
  acked_n bigint NOT NULL DEFAULT 0,
  gate_version_seen bigint NOT NULL DEFAULT 0,
  loaded boolean NOT NULL DEFAULT false,
  -- Why the sale is kept closed until somebody acts; null when it is not.
  fenced_reason text,
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK (opened_epoch <= epoch),
  CHECK (acked_n <= sealed_n AND applied_n <= sealed_n)
) WITH (fillfactor = 50);

-- Operators' requests by Idempotency-Key, with their answers.
CREATE TABLE operator_requests (
  sale_no bigint NOT NULL REFERENCES sales,
  key text COLLATE "C" NOT NULL,
  kind text NOT NULL CHECK (kind IN ('topup', 'reduce')),
  fingerprint bytea NOT NULL,
  answer jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (sale_no, key)
);

-- Stream entries that could not be read and that an operator passed.
CREATE TABLE quarantine (
  sale_no bigint NOT NULL REFERENCES sales,
  seq bigint NOT NULL,
  raw bytea NOT NULL,
  at timestamptz NOT NULL DEFAULT now(),
  actor text NOT NULL,
  PRIMARY KEY (sale_no, seq)
);

-- Down Migration

DROP TABLE quarantine, operator_requests, cursors, skus, sales;
