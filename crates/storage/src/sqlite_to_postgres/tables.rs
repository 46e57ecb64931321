//! The tables to move, with their columns. A table comes after those that its rows refer to.

/// A table in both databases.
#[derive(Debug)]
pub(super) struct CopiedTable {
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// The order for comparing rows: a key of the table, the same in both databases.
    pub(super) key: &'static str,
    /// The order for copying rows: that of `SQLite`.
    pub(super) copied_by: &'static str,
    /// How many rows are in memory at once.
    pub(super) part: usize,
}

/// The part of most tables.
const PART: usize = 2_000;
/// The part of the table of posters: each takes up to 4 MiB as text.
const PICTURES_PART: usize = 8;

/// A column and its conversion to text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The expression in `SQLite`, if it has no such column.
    pub(super) source: Option<&'static str>,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Number,
    Text,
    Uuid,
    Bytes,
    Json,
    Truth,
}

impl Column {
    /// The value as text, in SQL of `SQLite`.
    pub(super) fn in_sqlite(&self) -> String {
        let Self { name, kind, source } = self;
        let value = source.map_or_else(|| format!("\"{name}\""), |source| format!("({source})"));
        match kind {
            Kind::Number => format!("CAST({value} AS TEXT)"),
            Kind::Text | Kind::Json => value,
            Kind::Truth => format!("CASE WHEN {value} THEN 'true' ELSE 'false' END"),
            Kind::Uuid | Kind::Bytes => format!("CASE WHEN {value} IS NOT NULL THEN lower(hex({value})) END"),
        }
    }

    /// The value as text, in SQL of `PostgreSQL`.
    pub(super) fn in_postgres(&self) -> String {
        let Self { name, kind, .. } = self;
        match kind {
            Kind::Number | Kind::Json | Kind::Truth => format!("\"{name}\"::text"),
            Kind::Text => format!("\"{name}\""),
            Kind::Uuid => format!("replace(\"{name}\"::text, '-', '')"),
            Kind::Bytes => format!("encode(\"{name}\", 'hex')"),
        }
    }

    /// The column's value from the text in `place`, in SQL of `PostgreSQL`.
    pub(super) fn value_of(&self, place: &str) -> String {
        match self.kind {
            Kind::Number => format!("{place}::bigint"),
            Kind::Text => place.to_owned(),
            Kind::Uuid => format!("{place}::uuid"),
            Kind::Bytes => format!("decode({place}, 'hex')"),
            Kind::Json => format!("{place}::jsonb"),
            Kind::Truth => format!("{place}::boolean"),
        }
    }
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, source: None }
}

const fn number(name: &'static str) -> Column {
    column(name, Kind::Number)
}

const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

const USER_ID: Column = column("user_id", Kind::Uuid);

const fn table(name: &'static str, key: &'static str, columns: &'static [Column]) -> CopiedTable {
    CopiedTable { name, columns, key, copied_by: key, part: PART }
}

/// Every table except the clock, which `PostgreSQL` has itself; the last note that the box office worked, which is in
/// the row of `office` there; the highest seat id; and the sequences, which follow from it and from the rows.
pub(super) const TABLES: &[CopiedTable] = &[
    table(
        "user",
        "user_id",
        &[
            USER_ID,
            text("name"),
            text("email"),
            text("password_hash"),
            text("role"),
            number("created_at"),
            number("updated_at"),
            text("status"),
            number("sign_in_epoch"),
            number("signed_in_at"),
            number("email_confirmed_at"),
        ],
    ),
    table(
        "account_link",
        "user_id, kind",
        &[USER_ID, text("kind"), column("secret_hash", Kind::Bytes), number("epoch"), number("expires_at")],
    ),
    table(
        "second_factor",
        "user_id",
        &[
            USER_ID,
            column("secret", Kind::Bytes),
            number("confirmed_at"),
            number("last_step"),
            column("recovery", Kind::Bytes),
            number("wrong_codes"),
            number("wrong_at"),
            number("updated_at"),
        ],
    ),
    table(
        "session",
        "secret_hash",
        &[
            column("secret_hash", Kind::Bytes),
            USER_ID,
            text("role"),
            number("expires_at"),
            number("created_at"),
            text("client"),
        ],
    ),
    table(
        "room",
        "room_id",
        &[
            number("room_id"),
            number("max_active"),
            number("admit_per_minute"),
            text("gate"),
            text("message"),
            number("cursor"),
            number("epoch"),
            number("no_show_ppm"),
            number("credit_ppm"),
            number("credit_at"),
            number("fence"),
            number("opens_at"),
            number("closes_at"),
            text("site_name"),
            text("turn_url"),
            number("updated_at"),
            number("active"),
            number("offered"),
            number("count_admitted"),
            number("count_turns_passed"),
            number("count_paid"),
            number("count_left"),
            number("count_expired"),
            number("count_missed_out"),
            number("count_drawn"),
            number("count_removed"),
            number("count_closed"),
            number("peak_passed_over"),
            number("peak_active"),
            number("peak_cap"),
            number("peak_overshoot"),
            text("counted_from"),
            text("draw_phase"),
            number("draw_last"),
            number("draw_entries"),
            number("draw_placed"),
            number("draw_placed_entry"),
            number("weight"),
            number("house_budget"),
            number("allotment"),
            number("rate_share"),
            number("allotted_at"),
            number("shared_at"),
            number("lane_share"),
            text("lane_entry"),
        ],
    ),
    table(
        "line_record",
        "room_id",
        &[number("room_id"), number("epoch"), number("saved_at"), column("record", Kind::Bytes)],
    ),
    table(
        "draw",
        "room_id",
        &[
            number("room_id"),
            column("secret", Kind::Bytes),
            number("begun_at"),
            column("chain_hash", Kind::Bytes),
            column("chain_key", Kind::Bytes),
            number("chain_genesis"),
            number("chain_period"),
            number("patience"),
            number("sealed_at"),
            column("entered", Kind::Bytes),
            column("root", Kind::Bytes),
            number("round"),
            number("drawn_at"),
            column("signature", Kind::Bytes),
            column("seed", Kind::Bytes),
        ],
    ),
    table(
        "line_block",
        "user_id, room_id",
        &[
            USER_ID,
            number("room_id"),
            text("reason"),
            column("blocked_by", Kind::Uuid),
            number("since"),
            number("until"),
        ],
    ),
    table(
        "lane_guest",
        "user_id, room_id",
        &[USER_ID, number("room_id"), column("added_by", Kind::Uuid), number("added_at")],
    ),
    table("outage", "from_at", &[number("from_at"), number("to_at"), number("grace")]),
    CopiedTable {
        name: "room_cap",
        columns: &[number("room_id"), number("max_active"), number("since")],
        key: "room_id, since, max_active",
        copied_by: "rowid",
        part: PART,
    },
    table(
        "waiting_token",
        "room_id, position",
        &[
            number("room_id"),
            number("position"),
            USER_ID,
            text("status"),
            number("issued_at"),
            number("activated_at"),
            Column {
                name: "deadline",
                kind: Kind::Number,
                source: Some("CASE WHEN status <> 'active' THEN deadline END"),
            },
            Column {
                name: "active_until",
                kind: Kind::Number,
                source: Some("CASE WHEN status = 'active' THEN deadline END"),
            },
            Column {
                name: "due_from",
                kind: Kind::Number,
                source: Some("CASE WHEN status = 'active' THEN deadline END"),
            },
            number("claimed_at"),
            number("back_until"),
            number("expired_at"),
            text("end_reason"),
            number("turns_passed"),
            number("holds"),
        ],
    ),
    table(
        "concert",
        "concert_id",
        &[
            number("concert_id"),
            text("title"),
            text("artist"),
            text("venue"),
            text("time_zone"),
            text("concert_date"),
            text("start_time"),
            text("end_time"),
            number("starts_at"),
            number("base_price"),
            number("opens_at"),
            number("closes_at"),
            number("room_id"),
            text("status"),
            number("created_at"),
            number("updated_at"),
            number("ends_at"),
            text("closing"),
            text("status_reason"),
            number("refund_all_at"),
            number("wound_up_at"),
            number("opened_at"),
        ],
    ),
    table(
        "concert_details",
        "concert_id",
        &[
            number("concert_id"),
            text("description"),
            text("age_rating"),
            number("running_minutes"),
            number("doors_minutes"),
            text("address"),
            text("organiser"),
            text("organiser_contact"),
        ],
    ),
    CopiedTable {
        name: "poster",
        columns: &[number("concert_id"), text("tag"), number("width"), number("height"), column("jpeg", Kind::Bytes)],
        key: "concert_id",
        copied_by: "concert_id",
        part: PICTURES_PART,
    },
    table(
        "seat",
        "seat_id",
        &[
            number("seat_id"),
            number("concert_id"),
            number("seat_number"),
            number("price"),
            text("status"),
            number("reservation_id"),
            text("blocked_reason"),
            text("section"),
            text("row"),
            text("number"),
            text("grade"),
            column("let_go_by", Kind::Uuid),
            number("let_go_at"),
            column("was_held", Kind::Truth),
            number("created_at"),
            number("updated_at"),
        ],
    ),
    table(
        "reservation",
        "reservation_id",
        &[
            number("reservation_id"),
            USER_ID,
            number("concert_id"),
            number("seat_id"),
            number("seat_number"),
            number("price"),
            text("status"),
            number("created_at"),
            number("expires_at"),
            number("confirmed_at"),
            number("closed_at"),
        ],
    ),
    table(
        "payment",
        "payment_id",
        &[
            number("payment_id"),
            USER_ID,
            number("reservation_id"),
            number("amount"),
            text("status"),
            number("paid_at"),
            number("refunded_at"),
            number("created_at"),
        ],
    ),
    table(
        "point",
        "point_id",
        &[
            number("point_id"),
            USER_ID,
            number("amount"),
            number("version"),
            number("last_updated"),
            number("created_at"),
        ],
    ),
    table(
        "point_history",
        "history_id",
        &[
            number("history_id"),
            USER_ID,
            number("amount"),
            text("type"),
            text("description"),
            number("balance_after"),
            number("version"),
            number("payment_id"),
            text("reference"),
            number("created_at"),
        ],
    ),
    table(
        "debt",
        "debt_id",
        &[
            number("debt_id"),
            USER_ID,
            number("amount"),
            text("reason"),
            text("reference"),
            text("status"),
            number("created_at"),
            number("settled_at"),
        ],
    ),
    CopiedTable {
        name: "idempotency",
        columns: &[
            column("key", Kind::Bytes),
            column("fingerprint", Kind::Bytes),
            text("answer"),
            number("created_at"),
        ],
        key: "\"key\"",
        copied_by: "id",
        part: PART,
    },
    table(
        "audit_log",
        "audit_id",
        &[
            number("audit_id"),
            column("actor", Kind::Uuid),
            text("action"),
            text("object"),
            column("detail", Kind::Json),
            number("created_at"),
        ],
    ),
    table("audit_feed", "feed_number", &[number("feed_number"), number("audit_id")]),
    table(
        "outbox",
        "event_id",
        &[
            number("event_id"),
            text("consumer"),
            column("payload", Kind::Json),
            number("created_at"),
            number("due_at"),
            number("dead_at"),
            number("attempts"),
            text("last_error"),
        ],
    ),
    table("outbox_lease", "consumer", &[text("consumer"), column("holder", Kind::Uuid), number("until")]),
];

/// The id sequences, and the column with the highest id given.
pub(super) const SEQUENCES: &[(&str, &str, &str)] = &[
    ("concert_ids", "concert", "concert_id"),
    ("reservation_ids", "reservation", "reservation_id"),
    ("payment_ids", "payment", "payment_id"),
    ("point_ids", "point", "point_id"),
    ("history_ids", "point_history", "history_id"),
    ("audit_ids", "audit_log", "audit_id"),
    ("debt_ids", "debt", "debt_id"),
];

/// The id sequences of rows that may be removed, and how the file knows the highest id given.
pub(super) const HIGHEST_GIVEN: &[(&str, &str)] = &[
    ("seat_ids", "SELECT max(highest, (SELECT coalesce(max(seat_id), 0) FROM seat)) FROM seat_ids"),
    (
        "room_ids",
        "SELECT coalesce(max(room_id) - 1000000000, 0) FROM room WHERE room_id BETWEEN 1000000001 AND 2000000000",
    ),
    ("event_ids", "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'"),
];
