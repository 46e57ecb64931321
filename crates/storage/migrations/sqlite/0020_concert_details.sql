-- What buyers read of a concert: apart from its row, which every hold loads.
CREATE TABLE concert_details (
    concert_id        INTEGER NOT NULL PRIMARY KEY REFERENCES concert (concert_id),
    description       TEXT,
    age_rating        TEXT CONSTRAINT details_age_rating CHECK (age_rating IN ('all', '7', '12', '15', '19')),
    running_minutes   INTEGER CONSTRAINT details_running_minutes CHECK (running_minutes BETWEEN 1 AND 1440),
    -- How long before the start the doors open.
    doors_minutes     INTEGER CONSTRAINT details_doors_minutes CHECK (doors_minutes BETWEEN 0 AND 1440),
    address           TEXT,
    organiser         TEXT,
    organiser_contact TEXT
) STRICT;

-- The picture comes last: the columns before it are read without it.
CREATE TABLE poster (
    concert_id INTEGER NOT NULL PRIMARY KEY REFERENCES concert (concert_id),
    tag        TEXT    NOT NULL CONSTRAINT poster_tag CHECK (length(tag) = 32),
    width      INTEGER NOT NULL CONSTRAINT poster_width CHECK (width BETWEEN 1 AND 1200),
    height     INTEGER NOT NULL CONSTRAINT poster_height CHECK (height BETWEEN 1 AND 1200),
    jpeg       BLOB    NOT NULL CONSTRAINT poster_size CHECK (length(jpeg) BETWEEN 1 AND 2097152)
) STRICT;
