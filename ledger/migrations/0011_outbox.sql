-- Up Migration

-- What an event is called outside (domain/event-types.ts lists the names, a test compares).
CREATE FUNCTION order_event_type(from_state text, to_state text, cause text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN
  CASE
    WHEN from_state IS DISTINCT FROM to_state THEN 'order.' || to_state
    WHEN cause LIKE 'payment\_%' THEN 'payment.' || substr(cause, 9)
    WHEN cause IN ('partially_refunded', 'refund_refused') THEN 'payment.' || cause
    WHEN cause = 'shipment_recorded' THEN 'shipment.recorded'
    ELSE 'order.' || cause
  END;

-- How far each sink has taken order_events. Moved in the transaction of what the sink writes.
CREATE TABLE outbox_cursors (
  sink text COLLATE "C" PRIMARY KEY,
  position bigint NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

-- Nobody is told of what happened before there was an outbox.
INSERT INTO outbox_cursors (sink, position)
  SELECT sink, CASE WHEN is_called THEN last_value ELSE 0 END
  FROM order_events_id_seq, unnest(ARRAY['webhooks', 'notices']) AS sink;

-- Before an event takes its id its transaction has a number: the dispatcher's safe horizon rests on that
-- (ledger/outbox/horizon.ts).
CREATE FUNCTION order_events_coming() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_current_xact_id();
  RETURN NULL;
END $$;

CREATE TRIGGER order_events_coming BEFORE INSERT ON order_events
  FOR EACH STATEMENT EXECUTE FUNCTION order_events_coming();

-- Replays look for a time; ids and times grow together, so this costs nearly nothing.
CREATE INDEX order_events_at ON order_events USING brin (at) WITH (pages_per_range = 16, autosummarize = on);

-- Where merchants want to be told. What signs is derived from the deployment's key, the id and the version.
CREATE TABLE webhook_endpoints (
  id text COLLATE "C" PRIMARY KEY,
  tenant text COLLATE "C" NOT NULL,
  url text NOT NULL,
  description text,
  -- Empty: every type.
  types text[] NOT NULL DEFAULT '{}',
  enabled boolean NOT NULL DEFAULT true,
  -- Of an endpoint that is not enabled: the merchant's own will, 410 Gone, or failure for too long.
  disabled_reason text CHECK (disabled_reason IN ('merchant', 'gone', 'failing')),
  disabled_at timestamptz,
  secret_version integer NOT NULL DEFAULT 1 CHECK (secret_version > 0),
  -- Until when the version before signs as well.
  previous_until timestamptz,
  -- Tries that failed since the last one that did not, since when, and until when nothing is tried.
  failures integer NOT NULL DEFAULT 0,
  failing_since timestamptz,
  held_until timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- Gone for its tenant; its deliveries go in steps, then the row.
  deleted_at timestamptz,
  CHECK (enabled = (disabled_reason IS NULL) AND enabled = (disabled_at IS NULL)),
  CHECK (NOT enabled OR deleted_at IS NULL)
) WITH (fillfactor = 70);

CREATE INDEX webhook_endpoints_of_tenant ON webhook_endpoints (tenant, created_at) WHERE deleted_at IS NULL;

-- One row an endpoint and event: what is still to be sent, and for some days what became of it.
CREATE TABLE webhook_deliveries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  endpoint_id text COLLATE "C" NOT NULL REFERENCES webhook_endpoints,
  -- Of order_events; null for a test.
  event_id bigint,
  order_id text COLLATE "C",
  type text NOT NULL,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given_up')),
  tries integer NOT NULL DEFAULT 0,
  -- While somebody is sending it: until when nobody else does.
  next_try_at timestamptz NOT NULL DEFAULT now(),
  sending boolean NOT NULL DEFAULT false,
  last_status integer,
  last_error text,
  tried_at timestamptz,
  finished_at timestamptz,
  wanted_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (endpoint_id, event_id),
  CHECK ((event_id IS NULL) = (order_id IS NULL))
) WITH (fillfactor = 70);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_try_at, id) WHERE state = 'waiting';
-- A later event of an order waits for the earlier one.
CREATE INDEX webhook_deliveries_of_order ON webhook_deliveries (endpoint_id, order_id, event_id)
  WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_oldest ON webhook_deliveries (wanted_at) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_recent ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE state <> 'waiting';

-- What merchants want sent again, worked off in steps.
CREATE TABLE webhook_replays (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  endpoint_id text COLLATE "C" NOT NULL REFERENCES webhook_endpoints,
  since timestamptz NOT NULL,
  until timestamptz NOT NULL,
  -- Empty: what the endpoint takes.
  types text[] NOT NULL,
  -- Events up to `position` are dealt with; null before the first step. Behind `upto` the outbox goes by itself.
  position bigint,
  upto bigint NOT NULL,
  queued bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  done_at timestamptz
);

CREATE INDEX webhook_replays_open ON webhook_replays (id) WHERE done_at IS NULL;
CREATE INDEX webhook_replays_of_endpoint ON webhook_replays (endpoint_id);

-- Down Migration

DROP TABLE webhook_replays, webhook_deliveries, webhook_endpoints;
DROP INDEX order_events_at;
DROP TRIGGER order_events_coming ON order_events;
DROP FUNCTION order_events_coming;
DROP TABLE outbox_cursors;
DROP FUNCTION order_event_type;
