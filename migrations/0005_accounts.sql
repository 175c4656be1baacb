-- Who may look and ask. Of session ids and API tokens only the SHA-256 stands here, of passwords only an Argon2id hash.

CREATE TABLE accounts (
  name TEXT PRIMARY KEY,
  -- None: signs in by API token or through a proxy that vouches for the name.
  password_hash TEXT,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'operator')),
  -- The one tenant they may see; none means all. It need not be declared yet.
  tenant TEXT,
  created_at TIMESTAMPTZ NOT NULL,
  disabled_at TIMESTAMPTZ
);

CREATE TABLE sessions (
  id_hash BYTEA PRIMARY KEY CHECK (octet_length(id_hash) = 32),
  account TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
  created_at TIMESTAMPTZ NOT NULL,
  last_seen TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX sessions_of_account ON sessions (account);
CREATE INDEX sessions_by_end ON sessions (expires_at);

CREATE TABLE api_tokens (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  hash BYTEA NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
  account TEXT NOT NULL REFERENCES accounts ON DELETE CASCADE,
  name TEXT NOT NULL,
  created_at TIMESTAMPTZ NOT NULL,
  expires_at TIMESTAMPTZ,
  last_used TIMESTAMPTZ
);
CREATE INDEX api_tokens_of_account ON api_tokens (account);
