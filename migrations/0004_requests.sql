-- What people ask for beside the manifests, and how it went. The reconciler sees to a row once: it is open until ended_at.
-- A pause is open for as long as it lasts.
CREATE TABLE requests (
  id         BIGSERIAL PRIMARY KEY,
  kind       TEXT NOT NULL CHECK (kind IN ('restart', 'pause', 'resume', 'sync', 'approve')),
  pod_id     TEXT REFERENCES pods(id) ON DELETE CASCADE,  -- NULL: about no pod
  argument   JSONB NOT NULL,                              -- all of what is asked for
  actor      TEXT NOT NULL,                               -- who asked
  asked_at   TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ,                                 -- when it is not worth anything any more; a pause's end
  taken_at   TIMESTAMPTZ,                                 -- when the reconciler first saw it
  ended_at   TIMESTAMPTZ,
  outcome    TEXT,                                        -- how it ended, as a sentence
  done       BOOLEAN,                                     -- whether it was carried out, or refused
  CHECK (num_nulls(ended_at, outcome, done) IN (0, 3))
);
CREATE INDEX requests_that_are_open ON requests (id) WHERE ended_at IS NULL;
CREATE INDEX requests_by_pod ON requests (pod_id, id);

-- That a pod that is not declared any more may be stopped and removed: since when, and for which revision it counts. It
-- outlives us, so that a removal once begun is neither held again nor taken for another one.
ALTER TABLE pods
  ADD COLUMN removal_allowed_at TIMESTAMPTZ,
  ADD COLUMN removal_revision TEXT,
  ADD CHECK (removal_revision IS NULL OR removal_allowed_at IS NOT NULL),
  ADD CHECK (removal_allowed_at IS NULL OR undeclared_at IS NOT NULL);
