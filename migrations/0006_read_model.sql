-- What pages and API show beside what the planner needs. The reconciler writes it, and only where it differs, so that
-- an AgentPod that stands by shows the same; usage alone is written while everything is at rest, by a task of its own.

-- What each pod should be, as people may see it: secrets by name only.
CREATE TABLE pod_wishes (
  pod_id     TEXT PRIMARY KEY REFERENCES pods(id) ON DELETE CASCADE,
  container  TEXT NOT NULL,                               -- the name of the container it should have
  image      TEXT NOT NULL,
  memory_mb  INTEGER NOT NULL,                            -- MiB it may take
  milli_cpus INTEGER NOT NULL,                            -- thousandths of a processor it may take
  hot        TEXT,                                        -- digest of the files its agent re-reads by itself
  shape      JSONB NOT NULL
);

-- What containers were made as, by their names: the digest in a name stands for all of it. The newest few of each pod.
CREATE TABLE container_shapes (
  pod_id    TEXT NOT NULL REFERENCES pods(id) ON DELETE CASCADE,
  container TEXT NOT NULL,
  shape     JSONB NOT NULL,
  wished_at TIMESTAMPTZ NOT NULL,                         -- when it was last what the pod should have
  PRIMARY KEY (pod_id, container)
);

-- What the last round that decided anything about a pod decided.
CREATE TABLE pod_plans (
  pod_id     TEXT PRIMARY KEY REFERENCES pods(id) ON DELETE CASCADE,
  plan       JSONB NOT NULL,
  updated_at TIMESTAMPTZ NOT NULL
);

-- The newest rounds that did something.
CREATE TABLE rounds (
  id           BIGSERIAL PRIMARY KEY,
  began_at     TIMESTAMPTZ NOT NULL,
  milliseconds INTEGER NOT NULL,                          -- without the steps, which go on beside it
  trigger      TEXT NOT NULL,                             -- what it was made for
  actions      JSONB NOT NULL,                            -- pod, cause, steps
  held         INTEGER NOT NULL,
  settled      INTEGER NOT NULL
);

-- The most a tenant may have; NULL: no limit.
ALTER TABLE tenants
  ADD COLUMN is_declared      BOOLEAN NOT NULL DEFAULT true,
  ADD COLUMN quota_pods       INTEGER,
  ADD COLUMN quota_memory_mb  BIGINT,
  ADD COLUMN quota_milli_cpus BIGINT;

-- Usage moves out of the status: that is written when something changes, and this all the time.
ALTER TABLE pod_status DROP COLUMN memory_mb, DROP COLUMN cpu_percent, DROP COLUMN storage_mb;

-- As last measured; only pods that run.
CREATE TABLE pod_usage_now (
  pod_id      TEXT PRIMARY KEY REFERENCES pods(id) ON DELETE CASCADE,
  at          TIMESTAMPTZ NOT NULL,
  memory_mb   INTEGER NOT NULL,                           -- MiB in use
  cpu_percent REAL NOT NULL,                              -- 100 is one processor
  storage_mb  INTEGER                                     -- MiB in its volume; NULL: not measured
);

-- A day of it at falling resolution: spans of 60 s for two hours, of 600 s for a day.
CREATE TABLE pod_usage (
  pod_id      TEXT NOT NULL REFERENCES pods(id) ON DELETE CASCADE,
  seconds     INTEGER NOT NULL CHECK (seconds IN (60, 600)),
  at          TIMESTAMPTZ NOT NULL,                       -- the span's beginning
  memory_mb   INTEGER NOT NULL,
  cpu_percent REAL NOT NULL,
  storage_mb  INTEGER,
  PRIMARY KEY (pod_id, seconds, at)
);
CREATE INDEX pod_usage_by_time ON pod_usage (seconds, at);

-- The machine, as last measured.
CREATE TABLE hosts (
  node         TEXT PRIMARY KEY,
  cpus         INTEGER NOT NULL,
  memory_mb    BIGINT NOT NULL,
  disk_mb      BIGINT,                                    -- where the engine keeps its things; NULL: not on this machine
  disk_free_mb BIGINT,
  engine       TEXT NOT NULL,
  measured_at  TIMESTAMPTZ NOT NULL
);

-- A word to everybody who shows something: what changed, never how. Said when the transaction is in; the same word twice
-- in one transaction is one.
CREATE FUNCTION agentpod_changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  changed JSONB := to_jsonb(coalesce(NEW, OLD));
BEGIN
  PERFORM pg_notify('agentpod_changed', TG_ARGV[0] || ' ' || (changed ->> TG_ARGV[1]));
  RETURN NULL;
END $$;

CREATE TRIGGER pods_changed AFTER INSERT OR UPDATE OR DELETE ON pods
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('pod', 'id');
CREATE TRIGGER pod_status_changed AFTER INSERT OR UPDATE ON pod_status
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('pod', 'pod_id');
CREATE TRIGGER pod_wishes_changed AFTER INSERT OR UPDATE ON pod_wishes
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('pod', 'pod_id');
CREATE TRIGGER pod_plans_changed AFTER INSERT OR UPDATE ON pod_plans
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('pod', 'pod_id');
CREATE TRIGGER pod_events_changed AFTER INSERT OR UPDATE ON pod_events
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('event', 'id');
CREATE TRIGGER revisions_changed AFTER INSERT OR UPDATE ON revisions
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('revision', 'id');
CREATE TRIGGER requests_changed AFTER INSERT OR UPDATE ON requests
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('request', 'id');
