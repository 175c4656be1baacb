-- What was accepted is the pair: manifests, and the adapters they were built with. Both are kept, so that a start with
-- broken or missing folders goes on with the last pair that built whole.

ALTER TABLE revisions ADD COLUMN adapters TEXT;           -- of the adapters' and templates' content; NULL for rejected ones,
                                                          -- and for those from before adapters were kept

-- The files of each set of adapters once, however many revisions were accepted with it.
CREATE TABLE adapter_files (
  adapters TEXT NOT NULL,                                 -- as in revisions
  folder   TEXT NOT NULL CHECK (folder IN ('adapters', 'templates')),
  path     TEXT NOT NULL,                                 -- relative to that folder
  content  BYTEA NOT NULL,
  PRIMARY KEY (adapters, folder, path)
);
