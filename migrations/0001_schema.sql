-- Everything AgentPod stores. PostgreSQL 14 or newer.
--
-- There is no release yet, so this one file is edited in place; after the first release it is frozen and changes come as
-- further files.
--
-- The reconciler writes; pages and commands read, and write only requests, accounts and sessions. Times are UTC and come
-- from the program, not from the database's clock. No secret is stored in the clear: tokens are sealed under the instance
-- key, and passwords, sessions and API tokens are stored as hashes.

-- ---------------------------------------------------------------------------------------------------------------------
-- The instance

-- Which AgentPod owns this database. One row.
CREATE TABLE instance (
  id              TEXT PRIMARY KEY,                       -- the instance's name, as in the label agentpod.instance
  check_value     TEXT NOT NULL,                          -- a known text, sealed: opens only with the right instance key
  fingerprint_key TEXT NOT NULL,                          -- sealed; keys the fingerprints of secrets, so that the instance
                                                          -- key can be rotated without changing any digest
  created_at      TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX instance_is_one_row ON instance ((true));

-- Who leads: one row, which ends by time unless it is renewed. The term is a key so that a writer's share lock on it holds
-- off the next leader and not the renewal.
CREATE TABLE lease (
  term       BIGINT PRIMARY KEY,                          -- one more with each leader
  holder     TEXT NOT NULL,                               -- random, of the process that leads; empty: nobody
  process    TEXT NOT NULL,                               -- where it runs, for people
  since      TIMESTAMPTZ NOT NULL,                        -- these two are by the database's clock
  expires_at TIMESTAMPTZ NOT NULL
);
CREATE UNIQUE INDEX lease_is_one_row ON lease ((true));
INSERT INTO lease VALUES (0, '', '', now(), now());

-- ---------------------------------------------------------------------------------------------------------------------
-- The source

-- Complete states of the source, in the order in which they were checked.
CREATE TABLE revisions (
  id           BIGSERIAL PRIMARY KEY,
  hash         TEXT NOT NULL,                             -- of the manifests' content
  adapters     TEXT,                                      -- hash of the adapters' and templates' content; NULL if rejected
  origin       TEXT NOT NULL,                             -- a folder, or a git URL, branch and commit
  state        TEXT NOT NULL CHECK (state IN ('accepted', 'rejected')),
  problems     JSONB NOT NULL DEFAULT '[]',               -- of a rejected one: what is wrong, where, what to do
  -- The newest commit with these files; all NULL for a folder, which has no commits.
  commit_id    TEXT,                                      -- in full, hexadecimal
  author       TEXT,                                      -- as the commit says; not verified
  summary      TEXT,                                      -- first line of the commit message
  committed_at TIMESTAMPTZ,                               -- by the committer's clock
  fetched_at   TIMESTAMPTZ NOT NULL,
  accepted_at  TIMESTAMPTZ,
  synced_at   TIMESTAMPTZ,                               -- the first round after which nothing was left to do for it
  CHECK ((state = 'accepted') = (accepted_at IS NOT NULL)),
  CHECK (num_nulls(commit_id, author, summary, committed_at) IN (0, 4))
);

-- The files of the newest accepted revisions: enough to reconcile while the source cannot be read.
CREATE TABLE revision_files (
  revision BIGINT NOT NULL REFERENCES revisions(id) ON DELETE CASCADE,
  path     TEXT NOT NULL,                                 -- relative to the source's root
  content  BYTEA NOT NULL,
  PRIMARY KEY (revision, path)
);

-- The adapters and templates that revisions were accepted with. Each set is stored once, however many revisions use it.
CREATE TABLE adapter_files (
  adapters TEXT NOT NULL,                                 -- as in revisions.adapters
  folder   TEXT NOT NULL CHECK (folder IN ('adapters', 'templates')),
  path     TEXT NOT NULL,                                 -- relative to that folder
  content  BYTEA NOT NULL,
  PRIMARY KEY (adapters, folder, path)
);

-- Whether the source can be read. Written when that changes, not on every read. At most one row.
CREATE TABLE source_state (
  origin      TEXT NOT NULL,                              -- where manifests come from
  read_at     TIMESTAMPTZ,                                -- last successful read before this change; NULL: never
  stale_since TIMESTAMPTZ,                                -- NULL: the source can be read
  why         TEXT,                                       -- why the last read failed, if known
  changed_at  TIMESTAMPTZ NOT NULL,
  CHECK (stale_since IS NOT NULL OR (read_at IS NOT NULL AND why IS NULL))
);
CREATE UNIQUE INDEX source_state_is_one_row ON source_state ((true));

-- ---------------------------------------------------------------------------------------------------------------------
-- Tenants and pods

-- A tenant that is no longer declared keeps its row, as its pods do.
CREATE TABLE tenants (
  id               TEXT PRIMARY KEY,                      -- the name in manifests
  name             TEXT NOT NULL,                         -- the display name
  email            TEXT,
  is_declared      BOOLEAN NOT NULL DEFAULT true,
  quota_pods       INTEGER,                               -- NULL: no limit
  quota_memory_mb  BIGINT,                                -- MiB
  quota_milli_cpus BIGINT,                                -- thousandths of a processor
  created_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at       TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- A pod that is no longer declared keeps its row (desired_status 'deleted'): its token, its volume's name and its history
-- are still there when it is declared again.
CREATE TABLE pods (
  id                 TEXT PRIMARY KEY,                    -- TENANT_POD
  tenant_id          TEXT NOT NULL REFERENCES tenants(id),
  name               TEXT NOT NULL,
  adapter_id         TEXT NOT NULL,
  subdomain          TEXT NOT NULL,
  url                TEXT NOT NULL,
  desired_status     TEXT NOT NULL DEFAULT 'running' CHECK (desired_status IN ('running', 'stopped', 'deleted')),
  actual_status      TEXT NOT NULL DEFAULT 'pending',     -- the phase in lower case
  container_id       TEXT,                                -- the engine's ID of its container; NULL: none
  gateway_token      TEXT NOT NULL,                       -- sealed; generated once
  token_version      INTEGER NOT NULL DEFAULT 1,          -- grows with each rotation of the token
  generated_seed     TEXT NOT NULL,                       -- sealed; what its adapter's generated secrets are derived from
  generated_version  INTEGER NOT NULL DEFAULT 1,          -- grows with each rotation of the seed
  volume             TEXT NOT NULL,                       -- the volume with its data; never renamed
  data_dir           TEXT NOT NULL,                       -- VOLUME:PATH, PATH being where it is mounted
  node               TEXT NOT NULL DEFAULT 'local',       -- the machine it runs on
  digest             TEXT,                                -- of its desired container; NULL until its secrets could be read once
  declared_revision  BIGINT REFERENCES revisions(id) ON DELETE SET NULL,  -- the last one that changed its declaration
  applied_revision   BIGINT REFERENCES revisions(id) ON DELETE SET NULL,  -- the one its container was created from
  -- A digest that did not become ready and was rolled back.
  rejected_digest    TEXT,
  rejected_why       TEXT,
  -- The hot files last uploaded, and into which container.
  uploaded_container TEXT,
  uploaded_digest    TEXT,
  -- Its last action failed.
  retry_target       TEXT,                                -- what was tried; another target is tried at once
  retry_failures     INTEGER,                             -- in a row
  retry_at           TIMESTAMPTZ,                         -- not before
  retry_why          TEXT,
  retry_kind         TEXT CHECK (retry_kind IN ('crash', 'refused', 'step')),
  volume_since       TIMESTAMPTZ,                         -- since when it has data in its volume; NULL: it has none yet
  undeclared_at      TIMESTAMPTZ,                         -- NULL: it is declared
  -- Its removal was allowed, for this revision or by approval. Stored, so that a removal that has begun is finished after
  -- a restart and is not held again.
  removal_allowed_at TIMESTAMPTZ,
  removal_revision   TEXT,
  created_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at         TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- Checked at commit, so that two pods can swap subdomains.
  CONSTRAINT pods_subdomain_is_unique EXCLUDE USING btree (subdomain WITH =) WHERE (desired_status <> 'deleted')
    DEFERRABLE INITIALLY DEFERRED,
  CHECK ((desired_status = 'deleted') = (undeclared_at IS NOT NULL)),
  CHECK (num_nulls(rejected_digest, rejected_why) IN (0, 2)),
  CHECK (num_nulls(uploaded_container, uploaded_digest) IN (0, 2)),
  CHECK (num_nulls(retry_target, retry_failures, retry_at, retry_why, retry_kind) IN (0, 5)),
  CHECK (removal_revision IS NULL OR removal_allowed_at IS NOT NULL),
  CHECK (removal_allowed_at IS NULL OR undeclared_at IS NOT NULL)
);
CREATE INDEX pods_by_tenant ON pods (tenant_id);

-- The agent's settings with all defaults filled in, by the adapter's configSchema.
CREATE TABLE pod_configs (
  pod_id     TEXT PRIMARY KEY REFERENCES pods(id),
  config     JSONB NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- What each pod is doing. Written only when it changes. See also the view pod_status.
CREATE TABLE pod_phases (
  pod_id      TEXT PRIMARY KEY REFERENCES pods(id),
  phase       TEXT NOT NULL,
  phase_since TIMESTAMPTZ NOT NULL,
  ready       BOOLEAN NOT NULL DEFAULT false,
  since       TIMESTAMPTZ NOT NULL,                       -- since when ready has its value
  reason      TEXT NOT NULL,                              -- of ready, one word
  message     TEXT,                                       -- of ready, a sentence
  container   TEXT,                                       -- the name of the container this is about
  restarts    INTEGER NOT NULL DEFAULT 0,                 -- of that container by the engine, since it was last started on purpose
  updated_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Further conditions of each pod. Written only when they change.
CREATE TABLE pod_conditions (
  pod_id  TEXT NOT NULL REFERENCES pods(id) ON DELETE CASCADE,
  kind    TEXT NOT NULL,                                  -- Hardened, Routed, ConfigApplied
  is_true BOOLEAN,                                        -- NULL: not known
  reason  TEXT NOT NULL,                                  -- one word
  message TEXT NOT NULL,                                  -- a sentence
  since   TIMESTAMPTZ NOT NULL,                           -- since when is_true has its value
  PRIMARY KEY (pod_id, kind)
);

-- ---------------------------------------------------------------------------------------------------------------------
-- History and requests

-- Events, read in the order in which they last happened. The same event again within ten minutes is counted, not repeated,
-- and keeps the time when it first happened; old ones are pruned.
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
  first_at   TIMESTAMPTZ NOT NULL DEFAULT now(),          -- when it first happened
  last_at    TIMESTAMPTZ NOT NULL DEFAULT now()           -- when it last happened
);
CREATE INDEX pod_events_by_pod ON pod_events (pod_id, last_at, id);
CREATE INDEX pod_events_by_time ON pod_events (last_at, id);

-- What people ask for besides the manifests, and the outcome. The reconciler handles each row once: it is open until
-- ended_at. A pause is open for as long as it lasts.
CREATE TABLE requests (
  id           BIGSERIAL PRIMARY KEY,
  kind         TEXT NOT NULL CHECK (kind IN ('restart', 'pause', 'resume', 'retry', 'start-empty', 'sync', 'approve')),
  pod_id       TEXT REFERENCES pods(id) ON DELETE CASCADE,  -- NULL: about no pod
  argument     JSONB NOT NULL,                            -- the whole request
  actor        TEXT NOT NULL,                             -- who asked
  requested_at TIMESTAMPTZ NOT NULL,
  expires_at   TIMESTAMPTZ,                               -- too late to act on it after this; the end of a pause
  picked_up_at TIMESTAMPTZ,                               -- when the reconciler first saw it
  ended_at     TIMESTAMPTZ,
  outcome      TEXT,                                      -- a sentence
  done         BOOLEAN,                                   -- true: carried out; false: refused
  CHECK (num_nulls(ended_at, outcome, done) IN (0, 3))
);
CREATE INDEX requests_open ON requests (id) WHERE ended_at IS NULL;
CREATE INDEX requests_by_pod ON requests (pod_id, id);

-- ---------------------------------------------------------------------------------------------------------------------
-- Access

CREATE TABLE accounts (
  name          TEXT PRIMARY KEY,
  password_hash TEXT,                                     -- Argon2id; NULL: signs in by API token or through a trusted proxy
  role          TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
  tenant        TEXT,                                     -- the one tenant it may see, declared or not; NULL: all
  created_at    TIMESTAMPTZ NOT NULL,
  disabled_at   TIMESTAMPTZ
);

CREATE TABLE sessions (
  id_hash    BYTEA PRIMARY KEY CHECK (octet_length(id_hash) = 32),  -- SHA-256
  account    TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
  created_at TIMESTAMPTZ NOT NULL,
  last_seen  TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX sessions_by_account ON sessions (account);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE api_tokens (
  id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hash       BYTEA NOT NULL UNIQUE CHECK (octet_length(hash) = 32),  -- SHA-256
  account    TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
  name       TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ,
  last_used  TIMESTAMPTZ
);
CREATE INDEX api_tokens_by_account ON api_tokens (account);

-- ---------------------------------------------------------------------------------------------------------------------
-- The read model: what only pages and API need. The reconciler writes it where it differs, so that an AgentPod in standby
-- shows the same.

-- The desired container of each pod, secrets by name only.
CREATE TABLE pod_desired (
  pod_id     TEXT PRIMARY KEY REFERENCES pods(id) ON DELETE CASCADE,
  container  TEXT NOT NULL,                               -- its name
  image      TEXT NOT NULL,
  memory_mb  INTEGER NOT NULL,                            -- limit, MiB
  milli_cpus INTEGER NOT NULL,                            -- limit, thousandths of a processor
  hot        TEXT,                                        -- digest of the files its agent re-reads by itself
  summary    JSONB NOT NULL
);

-- What containers were created with, by name: the digest in a name stands for all of it. The newest few of each pod.
CREATE TABLE container_summaries (
  pod_id     TEXT NOT NULL REFERENCES pods(id) ON DELETE CASCADE,
  container  TEXT NOT NULL,
  summary    JSONB NOT NULL,
  desired_at TIMESTAMPTZ NOT NULL,                        -- when it was last the pod's desired container
  PRIMARY KEY (pod_id, container)
);

-- The last decision about each pod.
CREATE TABLE pod_plans (
  pod_id     TEXT PRIMARY KEY REFERENCES pods(id) ON DELETE CASCADE,
  plan       JSONB NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL
);

-- The newest rounds that did something.
CREATE TABLE rounds (
  id           BIGSERIAL PRIMARY KEY,
  began_at     TIMESTAMPTZ NOT NULL,
  milliseconds INTEGER NOT NULL,                          -- without the steps, which run beside it
  trigger      TEXT NOT NULL,                             -- what caused it
  actions      JSONB NOT NULL,                            -- pod, cause, steps
  held         INTEGER NOT NULL,                          -- pods
  settled      INTEGER NOT NULL                           -- pods
);

-- The last measurement of each running pod.
CREATE TABLE pod_usage_now (
  pod_id      TEXT PRIMARY KEY REFERENCES pods(id) ON DELETE CASCADE,
  at          TIMESTAMPTZ NOT NULL,
  memory_mb   INTEGER NOT NULL,                           -- MiB in use
  cpu_percent REAL NOT NULL,                              -- 100 is one processor
  storage_mb  INTEGER                                     -- MiB in its volume; NULL: not measured
);

-- The last day of measurements: spans of 60 s for two hours, of 600 s for a day.
CREATE TABLE pod_usage (
  pod_id      TEXT NOT NULL REFERENCES pods(id) ON DELETE CASCADE,
  seconds     INTEGER NOT NULL CHECK (seconds IN (60, 600)),
  at          TIMESTAMPTZ NOT NULL,                       -- the beginning of the span
  memory_mb   INTEGER NOT NULL,
  cpu_percent REAL NOT NULL,
  storage_mb  INTEGER,
  PRIMARY KEY (pod_id, seconds, at)
);
CREATE INDEX pod_usage_by_time ON pod_usage (seconds, at);

-- The last measurement of each machine.
CREATE TABLE hosts (
  node         TEXT PRIMARY KEY,
  cpus         INTEGER NOT NULL,
  memory_mb    BIGINT NOT NULL,
  disk_mb      BIGINT,                                    -- where the engine stores its data; NULL: not on this machine
  disk_free_mb BIGINT,
  engine       TEXT NOT NULL,                             -- the engine's version
  measured_at  TIMESTAMPTZ NOT NULL
);

-- When each pod's health probe last succeeded. Written with the usage, at most a minute behind.
CREATE TABLE pod_health (
  pod_id         TEXT PRIMARY KEY REFERENCES pods(id) ON DELETE CASCADE,
  last_health_at TIMESTAMPTZ NOT NULL
);

-- Each pod's status, health and usage in one place, for people and tools that read the database. AgentPod writes the three
-- tables apart, because the first changes rarely and the others all the time.
CREATE VIEW pod_status AS
  SELECT pod_id, phase, ready, message, last_health_at, memory_mb, cpu_percent, storage_mb, updated_at
  FROM pod_phases LEFT JOIN pod_health USING (pod_id) LEFT JOIN pod_usage_now USING (pod_id);

-- ---------------------------------------------------------------------------------------------------------------------
-- Notifications: which row changed, never how. Sent at commit; equal ones within a transaction are sent once.

CREATE FUNCTION agentpod_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed JSONB := to_jsonb(coalesce(NEW, OLD));
BEGIN
  PERFORM pg_notify('agentpod_changed', TG_ARGV[0] || ' ' || (changed ->> TG_ARGV[1]));
  RETURN NULL;
END $$;

CREATE TRIGGER pods_changed AFTER INSERT OR UPDATE OR DELETE ON pods
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('pod', 'id');
CREATE TRIGGER pod_phases_changed AFTER INSERT OR UPDATE ON pod_phases
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('pod', 'pod_id');
CREATE TRIGGER pod_conditions_changed AFTER INSERT OR UPDATE OR DELETE ON pod_conditions
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('pod', 'pod_id');
CREATE TRIGGER pod_desired_changed AFTER INSERT OR UPDATE ON pod_desired
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('pod', 'pod_id');
CREATE TRIGGER pod_plans_changed AFTER INSERT OR UPDATE ON pod_plans
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('pod', 'pod_id');
CREATE TRIGGER pod_events_changed AFTER INSERT OR UPDATE ON pod_events
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('event', 'id');
CREATE TRIGGER revisions_changed AFTER INSERT OR UPDATE ON revisions
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('revision', 'id');
CREATE TRIGGER requests_changed AFTER INSERT OR UPDATE ON requests
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('request', 'id');
