-- Up Migration

-- The edges of domain/attempt-machine.ts (a test compares).
CREATE TABLE attempt_transitions (
  from_state text NOT NULL,
  to_state text NOT NULL,
  PRIMARY KEY (from_state, to_state)
);

INSERT INTO attempt_transitions (from_state, to_state) VALUES
  ('pending', 'authorized'), ('pending', 'captured'), ('pending', 'declined'), ('pending', 'unknown'), ('pending', 'voided'),
  ('unknown', 'pending'), ('unknown', 'authorized'), ('unknown', 'captured'), ('unknown', 'declined'), ('unknown', 'voided'), ('unknown', 'refunded'),
  ('authorized', 'captured'), ('authorized', 'voided'), ('authorized', 'unknown'),
  ('captured', 'refunded');

-- One try to pay an order at a PSP. Money that must not stay is `reversal_wanted` until the state says
-- that it is gone.
CREATE TABLE attempts (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  order_id text COLLATE "C" NOT NULL REFERENCES orders,
  -- From 1 within the order.
  no smallint NOT NULL CHECK (no > 0),
  psp text NOT NULL,
  method_type text NOT NULL,
  token text NOT NULL,
  amount bigint NOT NULL CHECK (amount >= 0),
  currency text NOT NULL,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN
    ('pending', 'unknown', 'authorized', 'captured', 'refunded', 'voided', 'declined')),
  reversal_wanted boolean NOT NULL DEFAULT false,
  -- The PSP's name for the payment, once it has told one.
  psp_ref text,
  decline_code text,
  -- How often this step was tried, and when somebody is to look at the attempt again.
  tries integer NOT NULL DEFAULT 0,
  next_look_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (order_id, no)
) WITH (fillfactor = 80);

-- An order has at most one attempt that may take money or holds it.
CREATE UNIQUE INDEX attempts_one_live ON attempts (order_id)
  WHERE state IN ('pending', 'unknown', 'authorized', 'captured');

-- Work that is left: an outcome to learn, a capture to make, money to give back.
CREATE INDEX attempts_unfinished ON attempts (next_look_at)
  WHERE state IN ('pending', 'unknown', 'authorized') OR (state = 'captured' AND reversal_wanted);

CREATE INDEX attempts_by_reference ON attempts (psp, psp_ref) WHERE psp_ref IS NOT NULL;

-- Inbox of the PSPs' webhooks: written before they are answered, settled afterwards.
CREATE TABLE psp_events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  provider text NOT NULL,
  event_id text NOT NULL,
  body jsonb NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  settled_at timestamptz,
  tries integer NOT NULL DEFAULT 0,
  next_look_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (provider, event_id)
);

CREATE INDEX psp_events_waiting ON psp_events (next_look_at) WHERE settled_at IS NULL;

-- Down Migration

DROP TABLE psp_events, attempts, attempt_transitions;
