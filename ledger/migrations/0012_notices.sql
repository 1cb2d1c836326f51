-- Up Migration

-- What buyers are told. One row an event, channel and recipient: that is what makes a notice single.
CREATE TABLE notices (
  -- Part of the Message-ID, so the same for every try.
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  -- Of order_events.
  event_id bigint NOT NULL,
  order_id text COLLATE "C" NOT NULL REFERENCES orders,
  notice text NOT NULL,
  channel text NOT NULL CHECK (channel IN ('email', 'sms', 'whatsapp')),
  recipient text NOT NULL,
  -- What the event said: amounts, a code.
  detail jsonb,
  event_at timestamptz NOT NULL,
  -- `sending` is committed before a server is spoken to. Found so after its time, nobody knows whether it went out.
  state text NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'sending', 'sent', 'failed', 'skipped')),
  tries integer NOT NULL DEFAULT 0,
  -- While `sending`: until when the sender has it.
  next_try_at timestamptz NOT NULL DEFAULT now(),
  last_error text,
  -- The server takes mail, and wants this one later: a full mailbox is no outage.
  deferred boolean NOT NULL DEFAULT false,
  -- Message-ID of a mail, the provider's name for a text.
  message_id text,
  -- Since when it is to be sent: the oldest of those that wait is watched, and patience ends.
  wanted_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (event_id, channel, recipient)
) WITH (fillfactor = 80);

CREATE INDEX notices_due ON notices (channel, next_try_at) WHERE state IN ('wanted', 'sending');
-- An order's notices go out in the order of its events.
CREATE INDEX notices_waiting ON notices (order_id, channel, event_id) WHERE state IN ('wanted', 'sending');
CREATE INDEX notices_failed ON notices (updated_at) WHERE state = 'failed';

-- Numbers of invoices: without gaps for each tenant, in the order in which orders were confirmed.
CREATE TABLE invoices (
  order_id text COLLATE "C" PRIMARY KEY REFERENCES orders,
  tenant text COLLATE "C" NOT NULL,
  no bigint NOT NULL CHECK (no > 0),
  issued_at timestamptz NOT NULL,
  UNIQUE (tenant, no)
);

-- Down Migration

DROP TABLE invoices, notices;
