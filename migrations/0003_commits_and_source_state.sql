-- Which commit a revision was read from; what each pod is from; whether the source is still being read.

-- All four or none: a folder keeps no commits. The same files from another commit are the same row, with the newest one.
ALTER TABLE revisions
  ADD COLUMN commit_id    TEXT,                           -- full, in hexadecimal digits
  ADD COLUMN author       TEXT,                           -- as the commit says; anybody can write anything there
  ADD COLUMN summary      TEXT,                           -- the first line of its message
  ADD COLUMN committed_at TIMESTAMPTZ,                    -- by its committer's clock
  ADD CONSTRAINT revisions_commit_is_whole CHECK (num_nulls(commit_id, author, summary, committed_at) IN (0, 4));

-- A revision that changes one pod writes one row: the others keep the revision that changed them last.
ALTER TABLE pods
  ADD COLUMN declared_revision BIGINT REFERENCES revisions(id) ON DELETE SET NULL,  -- the last one that declared it otherwise than
                                                          -- before; NULL: from before this was kept
  ADD COLUMN applied_revision  BIGINT REFERENCES revisions(id) ON DELETE SET NULL;  -- the declared one that was last carried out:
                                                          -- what its container is from

-- Whether the source is being read: written when that changes, and not with each reading. At most one row.
CREATE TABLE source_state (
  origin      TEXT NOT NULL,                              -- where manifests come from
  read_at     TIMESTAMPTZ,                                -- when it was last read well, as of this change; NULL: never
  stale_since TIMESTAMPTZ,                                -- since when it counts as stale; NULL: it is read
  why         TEXT,                                       -- why it could not be read last, if that is known
  changed_at  TIMESTAMPTZ NOT NULL,
  CHECK (stale_since IS NOT NULL OR (read_at IS NOT NULL AND why IS NULL))
);
CREATE UNIQUE INDEX source_state_is_one_row ON source_state ((true));
