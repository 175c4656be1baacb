-- Everything AgentPod remembers. Postgres 14 or newer.
--
-- The reconciler alone writes; pages and commands read. Times are UTC instants, given by the program and not by the
-- database's clock. Nothing in here is a secret in the clear: what has to be kept is sealed under the instance key.

-- Which AgentPod this database belongs to. One row.
CREATE TABLE instance (
  id              TEXT PRIMARY KEY,                       -- the instance's name, as in the label agentpod.instance
  check_value     TEXT NOT NULL,                          -- a known text, sealed: tells whether the instance key is the right one
  fingerprint_key TEXT NOT NULL,                          -- sealed; keys the fingerprints of secrets, so that the instance key
                                                          -- can be exchanged without changing any digest
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX instance_is_one_row ON instance ((true));

-- Whole states of the source, in the order in which they were judged.
CREATE TABLE revisions (
  id          BIGSERIAL PRIMARY KEY,
  hash        TEXT NOT NULL,                              -- of the files' content
  origin      TEXT NOT NULL,                              -- where it came from: a folder, or a git url, branch and commit
  state       TEXT NOT NULL CHECK (state IN ('accepted', 'rejected')),
  problems    JSONB NOT NULL DEFAULT '[]',                -- of a rejected one: what is wrong with it, where, what to do
  fetched_at  TIMESTAMPTZ NOT NULL,
  accepted_at TIMESTAMPTZ,
  applied_at  TIMESTAMPTZ,                                -- the first round after which every pod was as it declares
  CHECK ((state = 'accepted') = (accepted_at IS NOT NULL))
);

-- The files of accepted revisions: enough to reconcile while the source is out of reach. Kept for the newest fifty.
CREATE TABLE revision_files (
  revision BIGINT NOT NULL REFERENCES revisions(id) ON DELETE CASCADE,
  path     TEXT NOT NULL,                                 -- as the source names it, relative to its root
  content  BYTEA NOT NULL,
  PRIMARY KEY (revision, path)
);

-- Rows stay when a tenant is not declared any more: its pods' rows do.
CREATE TABLE tenants (
  id         TEXT PRIMARY KEY,                            -- the declared name
  name       TEXT NOT NULL,                               -- the name people see
  email      TEXT,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- A pod that is not declared any more keeps its row (desired_status 'deleted'): its token, its volume's name and its
-- history are there when it comes back.
CREATE TABLE pods (
  id                 TEXT PRIMARY KEY,                    -- TENANT_POD
  tenant_id          TEXT NOT NULL REFERENCES tenants(id),
  name               TEXT NOT NULL,
  adapter_id         TEXT NOT NULL,
  subdomain          TEXT NOT NULL,
  url                TEXT NOT NULL,
  desired_status     TEXT NOT NULL DEFAULT 'running' CHECK (desired_status IN ('running', 'stopped', 'deleted')),
  actual_status      TEXT NOT NULL DEFAULT 'pending',     -- the phase in lower case
  container_id       TEXT,                                -- the name of the container that stands for it
  gateway_token      TEXT NOT NULL,                       -- sealed, made once
  token_version      INTEGER NOT NULL DEFAULT 1,          -- counts rotations of the token
  volume             TEXT NOT NULL,                       -- the volume with its data: named once, never derived again
  data_dir           TEXT NOT NULL,                       -- VOLUME:PATH, the path being where it is mounted
  node               TEXT NOT NULL DEFAULT 'local',       -- the machine it runs on
  digest             TEXT,                                -- of the container it should have; NULL until its secrets were readable once
  -- A digest that did not become ready.
  rejected_digest    TEXT,
  rejected_why       TEXT,
  -- The hot files last uploaded, and into which container.
  uploaded_container TEXT,
  uploaded_digest    TEXT,
  -- Its last action failed: for which wish, how often in a row, not again before when, why, and whether by crashing.
  retry_wish         TEXT,
  retry_failures     INTEGER,
  retry_at           TIMESTAMPTZ,
  retry_why          TEXT,
  retry_crash        BOOLEAN,
  undeclared_at      TIMESTAMPTZ,                         -- since when it is not declared any more
  created_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- Checked when a transaction ends, so that two pods can swap.
  CONSTRAINT pods_subdomain_is_used_once EXCLUDE USING btree (subdomain WITH =) WHERE (desired_status <> 'deleted')
    DEFERRABLE INITIALLY DEFERRED,
  CHECK ((desired_status = 'deleted') = (undeclared_at IS NOT NULL)),
  CHECK (num_nulls(rejected_digest, rejected_why) IN (0, 2)),
  CHECK (num_nulls(uploaded_container, uploaded_digest) IN (0, 2)),
  CHECK (num_nulls(retry_wish, retry_failures, retry_at, retry_why, retry_crash) IN (0, 5))
);
CREATE INDEX pods_by_tenant ON pods (tenant_id);

-- The agent's settings with all defaults, by the adapter's configSchema.
CREATE TABLE pod_configs (
  pod_id     TEXT PRIMARY KEY REFERENCES pods(id),
  config     JSONB NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- What each pod is doing; written only when it changes.
CREATE TABLE pod_status (
  pod_id         TEXT PRIMARY KEY REFERENCES pods(id),
  phase          TEXT NOT NULL,
  phase_since    TIMESTAMPTZ NOT NULL,                    -- since when it is in this phase
  ready          BOOLEAN NOT NULL DEFAULT false,
  since          TIMESTAMPTZ NOT NULL,                    -- since when ready is what it is
  reason         TEXT NOT NULL,                           -- why ready is what it is, one word
  message        TEXT,                                    -- the same as a sentence
  container      TEXT,                                    -- the name of the container this is about
  restarts       INTEGER NOT NULL DEFAULT 0,              -- of that container, since it was last started on purpose
  last_health_at TIMESTAMPTZ,                             -- when its probe last answered
  memory_mb      INTEGER,                                 -- MiB in use
  cpu_percent    REAL,                                    -- 100 is one processor
  storage_mb     INTEGER,                                 -- MiB in its volume
  updated_at     TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- History. The same line again within ten minutes is counted, not repeated; old lines are pruned.
CREATE TABLE pod_events (
  id         BIGSERIAL PRIMARY KEY,
  pod_id     TEXT REFERENCES pods(id),                    -- NULL: about no pod, or about one that was never declared
  event_type TEXT NOT NULL,
  message    TEXT NOT NULL,
  cause      TEXT,                                        -- why it was done
  revision   BIGINT REFERENCES revisions(id) ON DELETE SET NULL,
  container  TEXT,
  details    JSONB,                                       -- last log lines, exit code
  count      INTEGER NOT NULL DEFAULT 1,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),          -- when it happened first
  last_at    TIMESTAMPTZ NOT NULL DEFAULT now()           -- when it happened last
);
CREATE INDEX pod_events_by_pod ON pod_events (pod_id, id);
CREATE INDEX pod_events_by_time ON pod_events (last_at);
