-- Generated from the migrations by `npm run schema`; a test compares. Not run by anybody.

CREATE TABLE attempt_transitions (
  from_state text NOT NULL,
  to_state text NOT NULL,
  CONSTRAINT attempt_transitions_pkey PRIMARY KEY (from_state, to_state)
);

CREATE TABLE attempts (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  order_id text COLLATE "C" NOT NULL,
  no smallint NOT NULL,
  psp text NOT NULL,
  method_type text NOT NULL,
  token text NOT NULL,
  amount bigint NOT NULL,
  currency text NOT NULL,
  state text NOT NULL DEFAULT 'pending'::text,
  reversal_wanted boolean NOT NULL DEFAULT false,
  psp_ref text,
  decline_code text,
  tries integer NOT NULL DEFAULT 0,
  next_look_at timestamp with time zone NOT NULL DEFAULT now(),
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  next_action jsonb,
  key_no smallint NOT NULL DEFAULT 1,
  capture_by timestamp with time zone,
  refunded bigint NOT NULL DEFAULT 0,
  erred_at timestamp with time zone,
  absent_at timestamp with time zone,
  live boolean NOT NULL GENERATED ALWAYS AS ((state = ANY (ARRAY['pending'::text, 'unknown'::text, 'authorized'::text, 'captured'::text]))) STORED,
  unfinished boolean NOT NULL GENERATED ALWAYS AS (((state = ANY (ARRAY['pending'::text, 'unknown'::text, 'authorized'::text])) OR ((state = 'captured'::text) AND reversal_wanted))) STORED,
  CONSTRAINT attempts_order_id_no_key UNIQUE (order_id, no),
  CONSTRAINT attempts_pkey PRIMARY KEY (id),
  CONSTRAINT attempts_amount_check CHECK ((amount >= 0)),
  CONSTRAINT attempts_check CHECK (((refunded >= 0) AND (refunded <= amount))),
  CONSTRAINT attempts_key_no_check CHECK ((key_no > 0)),
  CONSTRAINT attempts_no_check CHECK ((no > 0)),
  CONSTRAINT attempts_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'unknown'::text, 'authorized'::text, 'captured'::text, 'refunded'::text, 'voided'::text, 'declined'::text])))
) WITH (fillfactor=50);

CREATE TABLE audit_checks (
  sale_no bigint NOT NULL,
  name text COLLATE "C" NOT NULL,
  violations bigint NOT NULL,
  examples text[] NOT NULL DEFAULT '{}'::text[],
  checked_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT audit_checks_pkey PRIMARY KEY (sale_no, name),
  CONSTRAINT audit_checks_sale_no_fkey FOREIGN KEY (sale_no) REFERENCES sales(sale_no)
) WITH (fillfactor=70);

CREATE TABLE cursors (
  sale_no bigint NOT NULL,
  epoch bigint NOT NULL DEFAULT 0,
  opened_epoch bigint NOT NULL DEFAULT 0,
  generation bigint NOT NULL DEFAULT 1,
  identity text NOT NULL DEFAULT ''::text,
  seq bigint NOT NULL DEFAULT 0,
  digest bytea,
  chain bytea NOT NULL DEFAULT '\x'::bytea,
  applied_n bigint NOT NULL DEFAULT 0,
  sealed_n bigint NOT NULL DEFAULT 0,
  acked_n bigint NOT NULL DEFAULT 0,
  gate_version_seen bigint NOT NULL DEFAULT 0,
  loaded boolean NOT NULL DEFAULT false,
  fenced_reason text,
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  start_seq bigint NOT NULL DEFAULT 0,
  CONSTRAINT cursors_pkey PRIMARY KEY (sale_no),
  CONSTRAINT cursors_sale_no_fkey FOREIGN KEY (sale_no) REFERENCES sales(sale_no),
  CONSTRAINT cursors_check CHECK ((opened_epoch <= epoch)),
  CONSTRAINT cursors_check1 CHECK (((acked_n <= sealed_n) AND (applied_n <= sealed_n)))
) WITH (fillfactor=50);

CREATE TABLE event_chain_marks (
  sale_no bigint NOT NULL,
  events bigint NOT NULL,
  last_id bigint NOT NULL,
  head bytea NOT NULL,
  at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT event_chain_marks_pkey PRIMARY KEY (sale_no, events),
  CONSTRAINT event_chain_marks_sale_no_fkey FOREIGN KEY (sale_no) REFERENCES sales(sale_no),
  CONSTRAINT event_chain_marks_head_check CHECK ((octet_length(head) = 32))
);

CREATE TABLE event_chains (
  sale_no bigint NOT NULL,
  events bigint NOT NULL,
  last_id bigint NOT NULL,
  head bytea NOT NULL,
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT event_chains_pkey PRIMARY KEY (sale_no),
  CONSTRAINT event_chains_sale_no_fkey FOREIGN KEY (sale_no) REFERENCES sales(sale_no),
  CONSTRAINT event_chains_events_check CHECK ((events > 0)),
  CONSTRAINT event_chains_head_check CHECK ((octet_length(head) = 32))
) WITH (fillfactor=50);

CREATE TABLE expired_holds (
  sale_no bigint NOT NULL,
  buyer_hash bytea NOT NULL,
  holds integer NOT NULL,
  last_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT expired_holds_pkey PRIMARY KEY (sale_no, buyer_hash),
  CONSTRAINT expired_holds_holds_check CHECK ((holds > 0))
) WITH (fillfactor=80);

CREATE TABLE heartbeat (
  one boolean NOT NULL DEFAULT true,
  up_since timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
  beat_at timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
  period_ms bigint NOT NULL DEFAULT 2000,
  grace_ms bigint NOT NULL DEFAULT 30000,
  CONSTRAINT heartbeat_pkey PRIMARY KEY (one),
  CONSTRAINT heartbeat_grace_ms_check CHECK ((grace_ms >= 0)),
  CONSTRAINT heartbeat_one_check CHECK (one),
  CONSTRAINT heartbeat_period_ms_check CHECK ((period_ms > 0))
);

CREATE TABLE invoices (
  order_id text COLLATE "C" NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  no bigint NOT NULL,
  issued_at timestamp with time zone NOT NULL,
  CONSTRAINT invoices_tenant_no_key UNIQUE (tenant, no),
  CONSTRAINT invoices_pkey PRIMARY KEY (order_id),
  CONSTRAINT invoices_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  CONSTRAINT invoices_no_check CHECK ((no > 0))
);

CREATE TABLE movements (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  sale_no bigint NOT NULL,
  order_id text COLLATE "C",
  sku text COLLATE "C" NOT NULL,
  to_available bigint NOT NULL,
  from_held bigint NOT NULL,
  buyer_hash bytea,
  buyer_units bigint NOT NULL DEFAULT 0,
  n bigint,
  cause text NOT NULL DEFAULT 'released'::text,
  CONSTRAINT movements_pkey PRIMARY KEY (id),
  CONSTRAINT movements_cause_check CHECK ((cause = ANY (ARRAY['released'::text, 'rejected'::text, 'replayed'::text, 'topup'::text]))),
  CONSTRAINT movements_check CHECK (((buyer_units >= 0) AND ((buyer_units = 0) OR (buyer_hash IS NOT NULL)))),
  CONSTRAINT movements_from_held_check CHECK ((from_held >= 0)),
  CONSTRAINT movements_to_available_check CHECK ((to_available >= 0))
) WITH (fillfactor=80);

CREATE TABLE notices (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  event_id bigint NOT NULL,
  order_id text COLLATE "C" NOT NULL,
  notice text NOT NULL,
  channel text NOT NULL,
  recipient text NOT NULL,
  detail jsonb,
  event_at timestamp with time zone NOT NULL,
  state text NOT NULL DEFAULT 'wanted'::text,
  tries integer NOT NULL DEFAULT 0,
  next_try_at timestamp with time zone NOT NULL DEFAULT now(),
  last_error text,
  deferred boolean NOT NULL DEFAULT false,
  message_id text,
  wanted_at timestamp with time zone NOT NULL DEFAULT now(),
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT notices_event_id_channel_recipient_key UNIQUE (event_id, channel, recipient),
  CONSTRAINT notices_pkey PRIMARY KEY (id),
  CONSTRAINT notices_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  CONSTRAINT notices_channel_check CHECK ((channel = ANY (ARRAY['email'::text, 'sms'::text, 'whatsapp'::text]))),
  CONSTRAINT notices_state_check CHECK ((state = ANY (ARRAY['wanted'::text, 'sending'::text, 'sent'::text, 'failed'::text, 'skipped'::text])))
) WITH (fillfactor=80);

CREATE TABLE operator_requests (
  sale_no bigint NOT NULL,
  key text COLLATE "C" NOT NULL,
  kind text NOT NULL,
  fingerprint bytea NOT NULL,
  answer jsonb,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT operator_requests_pkey PRIMARY KEY (sale_no, key),
  CONSTRAINT operator_requests_sale_no_fkey FOREIGN KEY (sale_no) REFERENCES sales(sale_no),
  CONSTRAINT operator_requests_kind_check CHECK ((kind = ANY (ARRAY['topup'::text, 'reduce'::text, 'refund'::text, 'return'::text])))
);

CREATE TABLE order_events (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  order_id text COLLATE "C" NOT NULL,
  at timestamp with time zone NOT NULL DEFAULT now(),
  from_state text,
  to_state text NOT NULL,
  cause text NOT NULL,
  actor text NOT NULL,
  detail jsonb,
  CONSTRAINT order_events_pkey PRIMARY KEY (id)
);

CREATE TABLE order_items (
  order_id text COLLATE "C" NOT NULL,
  line smallint NOT NULL,
  sku text COLLATE "C" NOT NULL,
  qty bigint NOT NULL,
  unit_price bigint NOT NULL,
  CONSTRAINT order_items_pkey PRIMARY KEY (order_id, line),
  CONSTRAINT order_items_qty_check CHECK ((qty > 0)),
  CONSTRAINT order_items_unit_price_check CHECK ((unit_price >= 0))
);

CREATE TABLE order_transitions (
  from_state text NOT NULL,
  to_state text NOT NULL,
  reserved smallint NOT NULL,
  sold smallint NOT NULL,
  to_available smallint NOT NULL,
  from_held smallint NOT NULL,
  restock boolean NOT NULL DEFAULT false,
  CONSTRAINT order_transitions_pkey PRIMARY KEY (from_state, to_state, restock)
);

CREATE TABLE orders (
  id text COLLATE "C" NOT NULL,
  sale_no bigint NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  buyer text NOT NULL,
  buyer_hash bytea NOT NULL,
  fingerprint bytea NOT NULL,
  state text NOT NULL,
  road text NOT NULL,
  currency text NOT NULL,
  subtotal bigint NOT NULL,
  discount bigint NOT NULL,
  shipping bigint NOT NULL,
  tax bigint NOT NULL,
  total bigint NOT NULL,
  reserved_at timestamp with time zone NOT NULL,
  first_expires_at timestamp with time zone NOT NULL,
  expires_at timestamp with time zone NOT NULL,
  extended boolean NOT NULL DEFAULT false,
  payment_method jsonb,
  shipping_address jsonb,
  limit_units bigint NOT NULL,
  seq bigint NOT NULL,
  cause text NOT NULL,
  actor text NOT NULL,
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  held boolean NOT NULL GENERATED ALWAYS AS ((state = ANY (ARRAY['reserved'::text, 'authorized'::text]))) STORED,
  contact jsonb,
  restock boolean NOT NULL DEFAULT false,
  refund_reason text,
  CONSTRAINT orders_pkey PRIMARY KEY (id),
  CONSTRAINT orders_check CHECK ((total = (((subtotal - discount) + shipping) + tax))),
  CONSTRAINT orders_limit_units_check CHECK ((limit_units >= 0)),
  CONSTRAINT orders_road_check CHECK ((road = ANY (ARRAY['checkout'::text, 'lock'::text]))),
  CONSTRAINT restock_is_a_refund CHECK (((state = 'refunded'::text) OR (NOT restock)))
) WITH (fillfactor=50);

CREATE TABLE outbox_cursors (
  sink text COLLATE "C" NOT NULL,
  "position" bigint NOT NULL,
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT outbox_cursors_pkey PRIMARY KEY (sink)
) WITH (fillfactor=50);

CREATE TABLE psp_events (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  provider text NOT NULL,
  event_id text NOT NULL,
  body jsonb NOT NULL,
  received_at timestamp with time zone NOT NULL DEFAULT now(),
  settled_at timestamp with time zone,
  tries integer NOT NULL DEFAULT 0,
  next_look_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT psp_events_provider_event_id_key UNIQUE (provider, event_id),
  CONSTRAINT psp_events_pkey PRIMARY KEY (id)
);

CREATE TABLE quarantine (
  sale_no bigint NOT NULL,
  seq bigint NOT NULL,
  raw bytea NOT NULL,
  at timestamp with time zone NOT NULL DEFAULT now(),
  actor text NOT NULL,
  CONSTRAINT quarantine_pkey PRIMARY KEY (sale_no, seq),
  CONSTRAINT quarantine_sale_no_fkey FOREIGN KEY (sale_no) REFERENCES sales(sale_no)
);

CREATE TABLE rebuilds (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  sale_no bigint NOT NULL,
  reason text NOT NULL,
  actor text NOT NULL,
  phase text NOT NULL DEFAULT 'wanted'::text,
  attempts integer NOT NULL DEFAULT 0,
  from_generation bigint,
  generation bigint,
  epoch bigint,
  start_seq bigint,
  entries_drained bigint NOT NULL DEFAULT 0,
  orders_drained bigint NOT NULL DEFAULT 0,
  entries_lost bigint NOT NULL DEFAULT 0,
  movements_sealed bigint NOT NULL DEFAULT 0,
  rows_total bigint NOT NULL DEFAULT 0,
  rows_staged bigint NOT NULL DEFAULT 0,
  error text,
  requested_at timestamp with time zone NOT NULL DEFAULT now(),
  started_at timestamp with time zone,
  finished_at timestamp with time zone,
  CONSTRAINT rebuilds_pkey PRIMARY KEY (id),
  CONSTRAINT rebuilds_sale_no_fkey FOREIGN KEY (sale_no) REFERENCES sales(sale_no),
  CONSTRAINT rebuilds_check CHECK (((phase = 'done'::text) = (finished_at IS NOT NULL))),
  CONSTRAINT rebuilds_phase_check CHECK ((phase = ANY (ARRAY['wanted'::text, 'draining'::text, 'sealing'::text, 'staging'::text, 'switching'::text, 'done'::text])))
);

CREATE TABLE refunds (
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  order_id text COLLATE "C" NOT NULL,
  attempt_id uuid NOT NULL,
  key text COLLATE "C" NOT NULL,
  amount bigint NOT NULL,
  reason text,
  actor text NOT NULL,
  state text NOT NULL DEFAULT 'wanted'::text,
  psp_ref text,
  refusal_code text,
  key_no smallint NOT NULL DEFAULT 1,
  tries integer NOT NULL DEFAULT 0,
  next_look_at timestamp with time zone NOT NULL DEFAULT now(),
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  erred_at timestamp with time zone,
  CONSTRAINT refunds_order_id_key_key UNIQUE (order_id, key),
  CONSTRAINT refunds_pkey PRIMARY KEY (id),
  CONSTRAINT refunds_attempt_id_fkey FOREIGN KEY (attempt_id) REFERENCES attempts(id),
  CONSTRAINT refunds_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id),
  CONSTRAINT refunds_amount_check CHECK ((amount > 0)),
  CONSTRAINT refunds_key_no_check CHECK ((key_no > 0)),
  CONSTRAINT refunds_state_check CHECK ((state = ANY (ARRAY['wanted'::text, 'done'::text, 'refused'::text])))
);

CREATE TABLE sale_events (
  id bigint NOT NULL DEFAULT nextval('order_events_id_seq'::regclass),
  sale_no bigint NOT NULL,
  at timestamp with time zone NOT NULL DEFAULT now(),
  kind text NOT NULL,
  sku text COLLATE "C",
  change bigint,
  total bigint,
  unit_price bigint,
  gate text,
  gate_version bigint,
  seq bigint,
  CONSTRAINT sale_events_pkey PRIMARY KEY (id),
  CONSTRAINT sale_events_sale_no_fkey FOREIGN KEY (sale_no) REFERENCES sales(sale_no),
  CONSTRAINT sale_events_check CHECK (
CASE
    WHEN (kind = 'gate'::text) THEN ((num_nonnulls(gate, gate_version, seq) = 3) AND (num_nonnulls(sku, change, total) = 0))
    ELSE ((num_nonnulls(gate, gate_version, seq) = 0) AND (num_nonnulls(sku, change, total) = 3))
END),
  CONSTRAINT sale_events_gate_check CHECK ((gate = ANY (ARRAY['scheduled'::text, 'open'::text, 'paused'::text, 'closed'::text]))),
  CONSTRAINT sale_events_kind_check CHECK ((kind = ANY (ARRAY['created'::text, 'topup'::text, 'reduce'::text, 'gate'::text])))
);

CREATE TABLE sales (
  sale_no bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  tenant text COLLATE "C" NOT NULL,
  id text COLLATE "C" NOT NULL,
  route bytea NOT NULL,
  salt bytea NOT NULL,
  currency text NOT NULL,
  opens_at timestamp with time zone,
  closes_at timestamp with time zone,
  hold_ms bigint NOT NULL,
  limit_per_buyer bigint NOT NULL,
  gate text NOT NULL,
  gate_version bigint NOT NULL DEFAULT 1,
  body jsonb NOT NULL,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  psp text,
  capture text NOT NULL DEFAULT 'at_once'::text,
  CONSTRAINT sales_route_key UNIQUE (route),
  CONSTRAINT sales_tenant_id_key UNIQUE (tenant, id),
  CONSTRAINT sales_pkey PRIMARY KEY (sale_no),
  CONSTRAINT sales_capture_check CHECK ((capture = ANY (ARRAY['at_once'::text, 'on_shipment'::text]))),
  CONSTRAINT sales_gate_check CHECK ((gate = ANY (ARRAY['scheduled'::text, 'open'::text, 'paused'::text, 'closed'::text]))),
  CONSTRAINT sales_hold_ms_check CHECK ((hold_ms > 0)),
  CONSTRAINT sales_limit_per_buyer_check CHECK ((limit_per_buyer >= 0)),
  CONSTRAINT sales_route_check CHECK ((octet_length(route) = 6)),
  CONSTRAINT sales_salt_check CHECK ((octet_length(salt) = 32))
);

CREATE TABLE shipments (
  order_id text COLLATE "C" NOT NULL,
  carrier text,
  tracking_number text,
  tracking_url text,
  actor text NOT NULL,
  recorded_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT shipments_pkey PRIMARY KEY (order_id),
  CONSTRAINT shipments_order_id_fkey FOREIGN KEY (order_id) REFERENCES orders(id)
);

CREATE TABLE skus (
  sale_no bigint NOT NULL,
  sku text COLLATE "C" NOT NULL,
  "position" integer NOT NULL,
  name text NOT NULL,
  unit_price bigint NOT NULL,
  total bigint NOT NULL,
  reserved bigint NOT NULL DEFAULT 0,
  sold bigint NOT NULL DEFAULT 0,
  told_available bigint NOT NULL,
  told_held bigint NOT NULL DEFAULT 0,
  CONSTRAINT skus_sale_no_position_key UNIQUE (sale_no, "position"),
  CONSTRAINT skus_pkey PRIMARY KEY (sale_no, sku),
  CONSTRAINT skus_sale_no_fkey FOREIGN KEY (sale_no) REFERENCES sales(sale_no),
  CONSTRAINT skus_unit_price_check CHECK ((unit_price >= 0)),
  CONSTRAINT stock_is_never_oversold CHECK (((reserved >= 0) AND (sold >= 0) AND ((reserved + sold) <= total)))
) WITH (fillfactor=50);

CREATE TABLE webhook_deliveries (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  endpoint_id text COLLATE "C" NOT NULL,
  event_id bigint,
  order_id text COLLATE "C",
  type text NOT NULL,
  state text NOT NULL DEFAULT 'waiting'::text,
  tries integer NOT NULL DEFAULT 0,
  next_try_at timestamp with time zone NOT NULL DEFAULT now(),
  sending boolean NOT NULL DEFAULT false,
  last_status integer,
  last_error text,
  tried_at timestamp with time zone,
  finished_at timestamp with time zone,
  wanted_at timestamp with time zone NOT NULL DEFAULT now(),
  CONSTRAINT webhook_deliveries_endpoint_id_event_id_key UNIQUE (endpoint_id, event_id),
  CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id),
  CONSTRAINT webhook_deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints(id),
  CONSTRAINT webhook_deliveries_check CHECK (((event_id IS NULL) = (order_id IS NULL))),
  CONSTRAINT webhook_deliveries_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'delivered'::text, 'given_up'::text])))
) WITH (fillfactor=70);

CREATE TABLE webhook_endpoints (
  id text COLLATE "C" NOT NULL,
  tenant text COLLATE "C" NOT NULL,
  url text NOT NULL,
  description text,
  types text[] NOT NULL DEFAULT '{}'::text[],
  enabled boolean NOT NULL DEFAULT true,
  disabled_reason text,
  disabled_at timestamp with time zone,
  secret_version integer NOT NULL DEFAULT 1,
  previous_until timestamp with time zone,
  failures integer NOT NULL DEFAULT 0,
  failing_since timestamp with time zone,
  held_until timestamp with time zone,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  updated_at timestamp with time zone NOT NULL DEFAULT now(),
  deleted_at timestamp with time zone,
  CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id),
  CONSTRAINT webhook_endpoints_check CHECK (((enabled = (disabled_reason IS NULL)) AND (enabled = (disabled_at IS NULL)))),
  CONSTRAINT webhook_endpoints_check1 CHECK (((NOT enabled) OR (deleted_at IS NULL))),
  CONSTRAINT webhook_endpoints_disabled_reason_check CHECK ((disabled_reason = ANY (ARRAY['merchant'::text, 'gone'::text, 'failing'::text]))),
  CONSTRAINT webhook_endpoints_secret_version_check CHECK ((secret_version > 0))
) WITH (fillfactor=70);

CREATE TABLE webhook_replays (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  endpoint_id text COLLATE "C" NOT NULL,
  since timestamp with time zone NOT NULL,
  until timestamp with time zone NOT NULL,
  types text[] NOT NULL,
  "position" bigint,
  upto bigint NOT NULL,
  queued bigint NOT NULL DEFAULT 0,
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  done_at timestamp with time zone,
  CONSTRAINT webhook_replays_pkey PRIMARY KEY (id),
  CONSTRAINT webhook_replays_endpoint_id_fkey FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints(id)
);

CREATE UNIQUE INDEX attempts_one_live ON public.attempts USING btree (order_id) WHERE live;
CREATE INDEX attempts_unfinished ON public.attempts USING btree (next_look_at) WHERE unfinished;
CREATE INDEX expired_holds_many ON public.expired_holds USING btree (last_at) WHERE (holds >= 3);
CREATE INDEX movements_by_batch ON public.movements USING btree (sale_no, n) WHERE (n IS NOT NULL);
CREATE INDEX movements_unsealed ON public.movements USING btree (sale_no, id) WHERE (n IS NULL);
CREATE INDEX notices_due ON public.notices USING btree (channel, next_try_at) WHERE (state = ANY (ARRAY['wanted'::text, 'sending'::text]));
CREATE INDEX notices_failed ON public.notices USING btree (updated_at) WHERE (state = 'failed'::text);
CREATE INDEX notices_waiting ON public.notices USING btree (order_id, channel, event_id) WHERE (state = ANY (ARRAY['wanted'::text, 'sending'::text]));
CREATE INDEX order_events_at ON public.order_events USING brin (at) WITH (pages_per_range='16', autosummarize='on');
CREATE INDEX order_events_of_order ON public.order_events USING btree (order_id, id);
CREATE INDEX orders_as_they_came ON public.orders USING btree (sale_no, seq, id);
CREATE INDEX orders_held ON public.orders USING btree (sale_no, expires_at) WHERE held;
CREATE INDEX psp_events_waiting ON public.psp_events USING btree (next_look_at) WHERE (settled_at IS NULL);
CREATE INDEX rebuilds_of_sale ON public.rebuilds USING btree (sale_no, id);
CREATE UNIQUE INDEX rebuilds_one_at_a_time ON public.rebuilds USING btree (sale_no) WHERE (finished_at IS NULL);
CREATE UNIQUE INDEX refunds_one_open ON public.refunds USING btree (attempt_id) WHERE (state = 'wanted'::text);
CREATE INDEX refunds_unfinished ON public.refunds USING btree (next_look_at) WHERE (state = 'wanted'::text);
CREATE UNIQUE INDEX sale_events_gates ON public.sale_events USING btree (sale_no, seq) WHERE (kind = 'gate'::text);
CREATE INDEX sale_events_of_sale ON public.sale_events USING btree (sale_no, id);
CREATE INDEX webhook_deliveries_due ON public.webhook_deliveries USING btree (endpoint_id, next_try_at, id) WHERE (state = 'waiting'::text);
CREATE INDEX webhook_deliveries_finished ON public.webhook_deliveries USING btree (finished_at) WHERE (state <> 'waiting'::text);
CREATE INDEX webhook_deliveries_of_order ON public.webhook_deliveries USING btree (endpoint_id, order_id, event_id) WHERE (state = 'waiting'::text);
CREATE INDEX webhook_deliveries_oldest ON public.webhook_deliveries USING btree (wanted_at) WHERE (state = 'waiting'::text);
CREATE INDEX webhook_deliveries_recent ON public.webhook_deliveries USING btree (endpoint_id, id);
CREATE INDEX webhook_endpoints_of_tenant ON public.webhook_endpoints USING btree (tenant, created_at) WHERE (deleted_at IS NULL);
CREATE INDEX webhook_replays_of_endpoint ON public.webhook_replays USING btree (endpoint_id);
CREATE INDEX webhook_replays_open ON public.webhook_replays USING btree (id) WHERE (done_at IS NULL);

CREATE OR REPLACE FUNCTION public.attempts_changed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_material TO 'off'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
END $function$
;

CREATE OR REPLACE FUNCTION public.expiry_horizon()
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
AS $function$
  SELECT CASE
    WHEN beat_at > now() - 2 * period_ms * interval '1 millisecond'
      AND up_since + grace_ms * interval '1 millisecond' <= now() THEN now()
    ELSE '-infinity'
  END
  FROM heartbeat
$function$
;

CREATE OR REPLACE FUNCTION public.grant_roles()
 RETURNS void
 LANGUAGE plpgsql
AS $function$
DECLARE
  relation record;
  jobs boolean := to_regclass('pgboss.job') IS NOT NULL;
BEGIN
  -- Two at once would change the same catalog rows.
  PERFORM pg_advisory_xact_lock(71007017);

  IF to_regrole('stampede_engine') IS NOT NULL THEN
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM stampede_engine;
    GRANT USAGE ON SCHEMA public TO stampede_engine;
    GRANT SELECT ON sales, skus, cursors, orders, order_items, order_events, order_history, attempts, refunds, shipments,
      movements, expired_holds, heartbeat, operator_requests, webhook_endpoints, webhook_deliveries, webhook_replays,
      sale_events, event_chains, event_chain_marks, audit_checks, rebuilds,
      outbox_cursors
      TO stampede_engine;
    GRANT SELECT ON SEQUENCE order_events_id_seq TO stampede_engine;
    -- A sale begins here, and its stock begins with it. Afterwards stock only grows (a top-up); what is reserved and sold
    -- follows from orders.
    GRANT INSERT ON sales TO stampede_engine;
    GRANT UPDATE (gate, gate_version) ON sales TO stampede_engine;
    GRANT INSERT (sale_no, sku, position, name, unit_price, total, told_available), UPDATE (total) ON skus
      TO stampede_engine;
    GRANT INSERT (sale_no) ON cursors TO stampede_engine;
    -- Of no order, and in no batch.
    GRANT INSERT (sale_no, sku, to_available, from_held, cause) ON movements TO stampede_engine;
    GRANT INSERT, UPDATE (answer) ON operator_requests TO stampede_engine;
    GRANT INSERT (sale_no, reason, actor) ON rebuilds TO stampede_engine;
    -- Orders come from the stream alone. What they are worth, whose they are and what is in them never changes.
    GRANT UPDATE (state, cause, actor, updated_at, restock, refund_reason, extended, expires_at) ON orders
      TO stampede_engine;
    -- Payments are asked for here and carried out elsewhere.
    GRANT INSERT (id, order_id, no, psp, method_type, token, amount, currency, next_look_at) ON attempts
      TO stampede_engine;
    GRANT INSERT (order_id, attempt_id, key, amount, reason, actor, next_look_at) ON refunds TO stampede_engine;
    GRANT INSERT ON shipments TO stampede_engine;
    GRANT INSERT (provider, event_id, body), SELECT (provider, event_id) ON psp_events TO stampede_engine;
    GRANT INSERT ON webhook_endpoints, webhook_deliveries, webhook_replays TO stampede_engine;
    GRANT UPDATE ON webhook_endpoints TO stampede_engine;
    IF jobs THEN
      GRANT USAGE ON SCHEMA pgboss TO stampede_engine;
      GRANT SELECT ON pgboss.queue TO stampede_engine;
      GRANT SELECT, INSERT ON pgboss.job TO stampede_engine;
    END IF;
  END IF;

  IF to_regrole('stampede_reconciler') IS NOT NULL THEN
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM stampede_reconciler;
    GRANT USAGE ON SCHEMA public TO stampede_reconciler;
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO stampede_reconciler;
    GRANT SELECT, USAGE ON ALL SEQUENCES IN SCHEMA public TO stampede_reconciler;
    -- The machines are the owner's, history is written by what makes it, and what was sold and told stays as it was.
    REVOKE INSERT, UPDATE ON order_transitions, attempt_transitions, migrations, order_events, sales
      FROM stampede_reconciler;
    REVOKE UPDATE ON order_items, quarantine, invoices, shipments, sale_events, event_chain_marks FROM stampede_reconciler;
    -- Only what was sent to merchants is ever thrown away.
    GRANT DELETE ON webhook_deliveries, webhook_replays, webhook_endpoints TO stampede_reconciler;
    IF jobs THEN
      GRANT USAGE ON SCHEMA pgboss TO stampede_reconciler;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgboss TO stampede_reconciler;
      GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA pgboss TO stampede_reconciler;
    END IF;
  END IF;

  IF to_regrole('stampede_auditor') IS NOT NULL THEN
    REVOKE ALL ON ALL TABLES IN SCHEMA public FROM stampede_auditor;
    GRANT USAGE ON SCHEMA public TO stampede_auditor;
    -- The books, and nothing about a person: who bought is a hash.
    FOR relation IN
      SELECT attrelid::regclass AS name, string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns
      FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND attnum > 0 AND NOT attisdropped
        AND c.relname NOT IN ('psp_events', 'notices', 'quarantine', 'webhook_endpoints',
          'webhook_deliveries', 'webhook_replays')
        AND attname NOT IN ('salt', 'buyer', 'payment_method', 'shipping_address', 'contact', 'token', 'next_action')
      GROUP BY attrelid
    LOOP
      EXECUTE format('GRANT SELECT (%s) ON %s TO stampede_auditor', relation.columns, relation.name);
    END LOOP;
    -- Who asked for more or fewer units: what a certificate holds changes of stock against.
    GRANT SELECT (sale_no, key, kind, answer, created_at) ON operator_requests TO stampede_auditor;
  END IF;
END $function$
;

CREATE OR REPLACE FUNCTION public.order_event_type(from_state text, to_state text, cause text)
 RETURNS text
 LANGUAGE sql
 IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (from_state IS DISTINCT FROM to_state) THEN ('order.'::text || to_state) WHEN (cause ~~ 'payment\_%'::text) THEN ('payment.'::text || substr(cause, 9)) WHEN (cause = ANY (ARRAY['partially_refunded'::text, 'refund_refused'::text])) THEN ('payment.'::text || cause) WHEN (cause = 'shipment_recorded'::text) THEN 'shipment.recorded'::text ELSE ('order.'::text || cause) END
;

CREATE OR REPLACE FUNCTION public.order_events_coming()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  PERFORM pg_current_xact_id();
  RETURN NULL;
END $function$
;

CREATE OR REPLACE FUNCTION public.orders_inserted()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
  IF EXISTS (SELECT FROM inserted WHERE state NOT IN ('reserved', 'rejected')) THEN
    RAISE EXCEPTION 'an order begins as reserved or rejected' USING ERRCODE = 'check_violation';
  END IF;
  INSERT INTO order_events (order_id, to_state, cause, actor)
    SELECT id, state, cause, actor FROM inserted ORDER BY id;
  RETURN NULL;
END $function$
;

CREATE OR REPLACE FUNCTION public.orders_updated()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET enable_seqscan TO 'off'
 SET enable_hashjoin TO 'off'
 SET enable_mergejoin TO 'off'
 SET enable_material TO 'off'
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
END $function$
;

CREATE OR REPLACE FUNCTION public.refund_changed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
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
END $function$
;

CREATE OR REPLACE FUNCTION public.shipment_recorded()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
BEGIN
  INSERT INTO order_events (order_id, from_state, to_state, cause, actor)
  SELECT o.id, o.state, o.state, 'shipment_recorded', NEW.actor FROM orders o WHERE o.id = NEW.order_id;
  RETURN NULL;
END $function$
;

CREATE OR REPLACE FUNCTION public.sku_total_changed()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'public', 'pg_temp'
AS $function$
DECLARE
  change bigint := NEW.total - CASE TG_OP WHEN 'UPDATE' THEN OLD.total ELSE 0 END;
BEGIN
  INSERT INTO sale_events (sale_no, kind, sku, change, total, unit_price)
  VALUES (NEW.sale_no, CASE WHEN TG_OP = 'INSERT' THEN 'created' WHEN change > 0 THEN 'topup' ELSE 'reduce' END,
    NEW.sku, change, NEW.total, NEW.unit_price);
  RETURN NULL;
END $function$
;

CREATE VIEW order_history AS
 SELECT e.order_id,
    e.id AS event,
    e.at,
    e.from_state,
    e.to_state,
    order_event_type(e.from_state, e.to_state, e.cause) AS type,
    e.cause,
    e.actor,
    ((e.detail ->> 'amount'::text))::bigint AS amount,
    (e.detail ->> 'currency'::text) AS currency,
    (e.detail ->> 'code'::text) AS code,
    o.tenant,
    s.id AS sale,
    o.buyer,
    o.state
   FROM ((order_events e
     JOIN orders o ON ((o.id = e.order_id)))
     JOIN sales s ON ((s.sale_no = o.sale_no)));

CREATE TRIGGER attempts_changed AFTER UPDATE ON public.attempts REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION attempts_changed();
CREATE TRIGGER order_events_coming BEFORE INSERT ON public.order_events FOR EACH STATEMENT EXECUTE FUNCTION order_events_coming();
CREATE TRIGGER orders_inserted AFTER INSERT ON public.orders REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION orders_inserted();
CREATE TRIGGER orders_updated AFTER UPDATE ON public.orders REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION orders_updated();
CREATE TRIGGER refund_changed AFTER UPDATE ON public.refunds FOR EACH ROW EXECUTE FUNCTION refund_changed();
CREATE TRIGGER sale_events_coming BEFORE INSERT ON public.sale_events FOR EACH STATEMENT EXECUTE FUNCTION order_events_coming();
CREATE TRIGGER shipment_recorded AFTER INSERT ON public.shipments FOR EACH ROW EXECUTE FUNCTION shipment_recorded();
CREATE TRIGGER sku_created AFTER INSERT ON public.skus FOR EACH ROW EXECUTE FUNCTION sku_total_changed();
CREATE TRIGGER sku_total_changed AFTER UPDATE OF total ON public.skus FOR EACH ROW WHEN ((old.total <> new.total)) EXECUTE FUNCTION sku_total_changed();

-- order: authorized -> canceled (reserved -1, sold 0, to available 1, from held 1)
-- order: authorized -> confirmed (reserved -1, sold 1, to available 0, from held 1)
-- order: authorized -> expired (reserved -1, sold 0, to available 1, from held 1)
-- order: authorized -> payment_failed (reserved -1, sold 0, to available 1, from held 1)
-- order: confirmed -> canceled (reserved 0, sold -1, to available 1, from held 0)
-- order: confirmed -> refunded (reserved 0, sold -1, to available 1, from held 0)
-- order: confirmed -> refunded (reserved 0, sold 0, to available 0, from held 0)
-- order: confirmed -> shipped (reserved 0, sold 0, to available 0, from held 0)
-- order: delivered -> refunded (reserved 0, sold -1, to available 1, from held 0)
-- order: delivered -> refunded (reserved 0, sold 0, to available 0, from held 0)
-- order: reserved -> authorized (reserved 0, sold 0, to available 0, from held 0)
-- order: reserved -> canceled (reserved -1, sold 0, to available 1, from held 1)
-- order: reserved -> expired (reserved -1, sold 0, to available 1, from held 1)
-- order: reserved -> payment_failed (reserved -1, sold 0, to available 1, from held 1)
-- order: shipped -> delivered (reserved 0, sold 0, to available 0, from held 0)
-- order: shipped -> refunded (reserved 0, sold -1, to available 1, from held 0)
-- order: shipped -> refunded (reserved 0, sold 0, to available 0, from held 0)
-- attempt: authorized -> captured
-- attempt: authorized -> unknown
-- attempt: authorized -> voided
-- attempt: captured -> refunded
-- attempt: pending -> authorized
-- attempt: pending -> captured
-- attempt: pending -> declined
-- attempt: pending -> unknown
-- attempt: pending -> voided
-- attempt: unknown -> authorized
-- attempt: unknown -> captured
-- attempt: unknown -> declined
-- attempt: unknown -> pending
-- attempt: unknown -> refunded
-- attempt: unknown -> voided
