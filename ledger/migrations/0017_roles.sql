-- Up Migration

-- Three roles besides the owner, who alone changes the schema: the engine answers buyers and operators, the reconciler does
-- the work behind, and the auditor reads. Roles belong to the cluster and may be there already, made by
-- another database's migration at this very moment. They get a password, and may log in, from whoever deploys
-- (reconciler/prepare/main.ts). An owner who may not make roles has a ledger that works as before, with one role for all.
DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['stampede_engine', 'stampede_reconciler', 'stampede_auditor'] LOOP
    IF to_regrole(wanted) IS NULL THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL;
        WHEN insufficient_privilege THEN
          RAISE WARNING 'role % is not there and % may not make it', wanted, current_user;
      END;
    END IF;
  END LOOP;
END $$;

-- What an order's change sets off (history, stock, movements, reversals) is written by these with the rights of the owner.
-- So nobody needs the right to write it without an order's change: not one unit moves but along an edge of order_transitions.
ALTER FUNCTION orders_inserted() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION orders_updated() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION attempts_changed() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION refund_changed() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION shipment_recorded() SECURITY DEFINER SET search_path = public, pg_temp;
ALTER FUNCTION sku_total_changed() SECURITY DEFINER SET search_path = public, pg_temp;

-- Who may do what, as it stands after any number of calls. Called by this migration, and again by whoever prepares the
-- ledger: the roles may have come later, and so have the tables of the job queues. A later migration that adds a table
-- replaces it; ledger/roles.test.ts asks for each table what its roles may do.
CREATE FUNCTION grant_roles() RETURNS void LANGUAGE plpgsql AS $$
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
END $$;

REVOKE EXECUTE ON FUNCTION grant_roles() FROM PUBLIC;

SELECT grant_roles();

-- Down Migration

-- The roles stay: other databases of this cluster may know them.
DO $$
DECLARE
  known text;
BEGIN
  FOREACH known IN ARRAY ARRAY['stampede_engine', 'stampede_reconciler', 'stampede_auditor'] LOOP
    IF to_regrole(known) IS NOT NULL THEN
      EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I', known);
      EXECUTE format('REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM %I', known);
      EXECUTE format('REVOKE ALL ON SCHEMA public FROM %I', known);
    END IF;
  END LOOP;
END $$;

DROP FUNCTION grant_roles();

ALTER FUNCTION orders_inserted() SECURITY INVOKER RESET search_path;
ALTER FUNCTION orders_updated() SECURITY INVOKER RESET search_path;
ALTER FUNCTION attempts_changed() SECURITY INVOKER RESET search_path;
ALTER FUNCTION refund_changed() SECURITY INVOKER RESET search_path;
ALTER FUNCTION shipment_recorded() SECURITY INVOKER RESET search_path;
ALTER FUNCTION sku_total_changed() SECURITY INVOKER RESET search_path;
