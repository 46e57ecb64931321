-- The deadline that an offered or active token gets back if its client is heard of, after that has gone away.
ALTER TABLE waiting_token ADD COLUMN back_until INTEGER CONSTRAINT token_back_until CHECK (
    back_until IS NULL OR (status IN ('offered', 'active') AND back_until > deadline));
