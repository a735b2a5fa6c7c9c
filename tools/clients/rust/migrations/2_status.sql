CREATE TYPE sqlx_status AS ENUM ('open', 'paid');
CREATE TABLE sqlx_states (id int, status sqlx_status, data jsonb, at timestamptz, key uuid);
