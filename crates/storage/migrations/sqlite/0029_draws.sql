-- How a line begins: in order of coming, or with the draw of a lobby, and how far that is.
ALTER TABLE room ADD COLUMN draw_phase TEXT NOT NULL DEFAULT 'none' CONSTRAINT room_draw_phase CHECK (
    draw_phase = 'none' OR draw_phase = 'lobby' OR draw_phase = 'sealed' OR draw_phase = 'placing'
    OR draw_phase = 'placed');
-- The highest position that was given before the lobby was sealed, how many entries were drawn, how many of them have
-- their places, and the last of these.
ALTER TABLE room ADD COLUMN draw_last INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_draw_last CHECK (draw_last >= 0);
ALTER TABLE room ADD COLUMN draw_entries INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_draw_entries CHECK (
    draw_entries BETWEEN 0 AND draw_last);
ALTER TABLE room ADD COLUMN draw_placed INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_draw_placed CHECK (
    draw_placed BETWEEN 0 AND draw_entries);
ALTER TABLE room ADD COLUMN draw_placed_entry INTEGER NOT NULL DEFAULT 0 CONSTRAINT room_draw_placed_entry CHECK (
    draw_placed_entry BETWEEN 0 AND draw_last);

-- The draws of lobbies.
CREATE TABLE draw (
    room_id         INTEGER NOT NULL PRIMARY KEY REFERENCES room (room_id),
    -- Published after the draw; its hash before.
    secret          BLOB NOT NULL CONSTRAINT draw_secret_has_32_bytes CHECK (length(secret) = 32),
    begun_at        INTEGER NOT NULL,
    -- The chain of the beacon, and for how many microseconds the draw waits for its round.
    chain_hash      BLOB NOT NULL CONSTRAINT draw_chain_hash_has_32_bytes CHECK (length(chain_hash) = 32),
    chain_key       BLOB NOT NULL CONSTRAINT draw_chain_key_has_96_bytes CHECK (length(chain_key) = 96),
    chain_genesis   INTEGER NOT NULL CONSTRAINT draw_chain_genesis CHECK (chain_genesis >= 0),
    chain_period    INTEGER NOT NULL CONSTRAINT draw_chain_period CHECK (chain_period > 0),
    patience        INTEGER NOT NULL CONSTRAINT draw_patience CHECK (patience >= 0),
    -- When the entries were fixed; the entries, a bit for each position; the root of their tree; the beacon's round.
    sealed_at       INTEGER,
    entered         BLOB CONSTRAINT draw_entered CHECK ((entered IS NULL) = (sealed_at IS NULL)),
    root            BLOB CONSTRAINT draw_root_has_32_bytes CHECK (
        (root IS NULL) = (sealed_at IS NULL) AND coalesce(length(root), 32) = 32),
    round           INTEGER CONSTRAINT draw_round CHECK ((round IS NULL) = (sealed_at IS NULL)),
    -- When the order was drawn; the round's signature, if that was handed in; the seed.
    drawn_at        INTEGER CONSTRAINT draw_drawn_at CHECK (drawn_at IS NULL OR sealed_at IS NOT NULL),
    signature       BLOB CONSTRAINT draw_signature_has_48_bytes CHECK (
        signature IS NULL OR (drawn_at IS NOT NULL AND length(signature) = 48)),
    seed            BLOB CONSTRAINT draw_seed_has_32_bytes CHECK (
        (seed IS NULL) = (drawn_at IS NULL) AND coalesce(length(seed), 32) = 32)
) STRICT;
