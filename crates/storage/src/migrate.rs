//! The steps that build a database's schema. A released step is never edited: a change is a new step.

use crate::StoreError;

/// A step of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its number, from 1 without gaps. A database's version is the number of its last step.
    pub version: i64,
    /// Its purpose, as in the file's name.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

/// The steps of the `SQLite` schema.
pub const SQLITE: &[Migration] = &[
    Migration { version: 1, name: "box_office", sql: include_str!("../migrations/sqlite/0001_box_office.sql") },
    Migration { version: 2, name: "fence", sql: include_str!("../migrations/sqlite/0002_fence.sql") },
    Migration {
        version: 3,
        name: "lists_by_status",
        sql: include_str!("../migrations/sqlite/0003_lists_by_status.sql"),
    },
    Migration { version: 4, name: "sale_window", sql: include_str!("../migrations/sqlite/0004_sale_window.sql") },
    Migration {
        version: 5,
        name: "reservations_of_user",
        sql: include_str!("../migrations/sqlite/0005_reservations_of_user.sql"),
    },
    Migration { version: 6, name: "room_counts", sql: include_str!("../migrations/sqlite/0006_room_counts.sql") },
    Migration {
        version: 7,
        name: "turns_and_holds",
        sql: include_str!("../migrations/sqlite/0007_turns_and_holds.sql"),
    },
    Migration { version: 8, name: "accounts", sql: include_str!("../migrations/sqlite/0008_accounts.sql") },
    Migration { version: 9, name: "concert_life", sql: include_str!("../migrations/sqlite/0009_concert_life.sql") },
    Migration { version: 10, name: "outages", sql: include_str!("../migrations/sqlite/0010_outages.sql") },
    Migration { version: 11, name: "idle_accounts", sql: include_str!("../migrations/sqlite/0011_idle_accounts.sql") },
    Migration {
        version: 12,
        name: "user_reservations",
        sql: include_str!("../migrations/sqlite/0012_user_reservations.sql"),
    },
    Migration { version: 13, name: "seats", sql: include_str!("../migrations/sqlite/0013_seats.sql") },
    Migration { version: 14, name: "adjustments", sql: include_str!("../migrations/sqlite/0014_adjustments.sql") },
    Migration {
        version: 15,
        name: "concerts_by_start",
        sql: include_str!("../migrations/sqlite/0015_concerts_by_start.sql"),
    },
    Migration { version: 16, name: "opened_sales", sql: include_str!("../migrations/sqlite/0016_opened_sales.sql") },
    Migration { version: 17, name: "seat_ids", sql: include_str!("../migrations/sqlite/0017_seat_ids.sql") },
    Migration { version: 18, name: "top_ups", sql: include_str!("../migrations/sqlite/0018_top_ups.sql") },
    Migration { version: 19, name: "outbox", sql: include_str!("../migrations/sqlite/0019_outbox.sql") },
    Migration {
        version: 20,
        name: "concert_details",
        sql: include_str!("../migrations/sqlite/0020_concert_details.sql"),
    },
    Migration { version: 21, name: "account_links", sql: include_str!("../migrations/sqlite/0021_account_links.sql") },
    Migration { version: 22, name: "end_reasons", sql: include_str!("../migrations/sqlite/0022_end_reasons.sql") },
    Migration { version: 23, name: "viewers", sql: include_str!("../migrations/sqlite/0023_viewers.sql") },
    Migration { version: 24, name: "search", sql: include_str!("../migrations/sqlite/0024_search.sql") },
    Migration { version: 25, name: "second_factor", sql: include_str!("../migrations/sqlite/0025_second_factor.sql") },
    Migration { version: 26, name: "operators", sql: include_str!("../migrations/sqlite/0026_operators.sql") },
    Migration { version: 27, name: "references", sql: include_str!("../migrations/sqlite/0027_references.sql") },
    Migration { version: 28, name: "claims", sql: include_str!("../migrations/sqlite/0028_claims.sql") },
    Migration { version: 29, name: "draws", sql: include_str!("../migrations/sqlite/0029_draws.sql") },
    Migration { version: 30, name: "line_blocks", sql: include_str!("../migrations/sqlite/0030_line_blocks.sql") },
    Migration { version: 31, name: "site_rooms", sql: include_str!("../migrations/sqlite/0031_site_rooms.sql") },
    Migration { version: 32, name: "shares", sql: include_str!("../migrations/sqlite/0032_shares.sql") },
    Migration {
        version: 33,
        name: "away_and_tally",
        sql: include_str!("../migrations/sqlite/0033_away_and_tally.sql"),
    },
    Migration { version: 34, name: "line_records", sql: include_str!("../migrations/sqlite/0034_line_records.sql") },
];

/// The steps of the `PostgreSQL` schema.
pub const POSTGRES: &[Migration] =
    &[Migration { version: 1, name: "box_office", sql: include_str!("../migrations/postgres/0001_box_office.sql") }];

/// The constraints, indexes and triggers of a `PostgreSQL` database after all steps, one a line. A new step must update
/// the list: a test compares it with a new database, and `frontrow check` with the one in use.
pub const POSTGRES_GUARDS: &str = include_str!("../migrations/postgres/guards.txt");

/// The version after all of `steps`; 0 without any.
#[must_use]
pub fn latest(steps: &[Migration]) -> i64 {
    steps.last().map_or(0, |step| step.version)
}

/// The steps that a database at `version` still needs, in order.
///
/// # Errors
/// [`StoreError::Misfit`] if the database is newer than `steps`: an old program must not write to it.
pub fn pending(steps: &[Migration], version: i64) -> Result<impl Iterator<Item = &Migration>, StoreError> {
    let latest = latest(steps);
    if version > latest {
        return Err(StoreError::Misfit(format!(
            "its schema has version {version}, but this program knows versions up to {latest} only: \
             use the newer program that wrote it"
        )));
    }
    Ok(steps.iter().filter(move |step| step.version > version))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[Migration] =
        &[Migration { version: 1, name: "one", sql: "" }, Migration { version: 2, name: "two", sql: "" }];

    #[test]
    fn a_database_gets_the_steps_that_it_lacks() {
        let names = |version| pending(STEPS, version).unwrap().map(|step| step.name).collect::<Vec<_>>();
        assert_eq!(names(0), ["one", "two"]);
        assert_eq!(names(1), ["two"]);
        assert!(names(2).is_empty());
    }

    #[test]
    fn a_newer_database_is_refused() {
        assert!(matches!(pending(STEPS, 3).map(|_| ()), Err(StoreError::Misfit(text)) if text.contains("version 3")));
    }

    #[test]
    fn the_released_steps_are_numbered_without_gaps() {
        for steps in [SQLITE, POSTGRES] {
            assert!(steps.iter().map(|step| step.version).eq(1..=latest(steps)));
        }
    }
}
