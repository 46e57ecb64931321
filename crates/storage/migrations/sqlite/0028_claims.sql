-- A turn that was claimed while its room was full: such tokens are activated in the order of their claims.
ALTER TABLE waiting_token ADD COLUMN claimed_at INTEGER CONSTRAINT token_claimed_at CHECK (
    claimed_at IS NULL OR status = 'offered');
CREATE INDEX token_claimed ON waiting_token (room_id, claimed_at, position) WHERE claimed_at IS NOT NULL;
