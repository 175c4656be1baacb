-- What is true of each pod beside being ready, as the reconciler last saw it; written only where it differs.
CREATE TABLE pod_conditions (
  pod_id  TEXT NOT NULL REFERENCES pods(id) ON DELETE CASCADE,
  kind    TEXT NOT NULL,                                  -- Hardened, Routed
  is_true BOOLEAN,                                        -- NULL: not known
  reason  TEXT NOT NULL,                                  -- why, one word
  message TEXT NOT NULL,                                  -- the same as a sentence
  since   TIMESTAMPTZ NOT NULL,                           -- since when is_true is what it is
  PRIMARY KEY (pod_id, kind)
);

CREATE TRIGGER pod_conditions_changed AFTER INSERT OR UPDATE OR DELETE ON pod_conditions
  FOR EACH ROW EXECUTE FUNCTION agentpod_changed('pod', 'pod_id');
