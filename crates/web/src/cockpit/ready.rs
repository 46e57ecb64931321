//! `/operator/concerts/{id}/ready`: the checklist before the opening. It looks again by itself.

use super::{
    nav::{ConcertNav, ConcertPart},
    shell::CockpitShell,
};
use crate::{
    edge::{
        extract::{PathId, QueryParams},
        join::{CheckFails, CheckerHealth},
        problem::HttpResult,
        state::SharedState,
    },
    html::{sale_words::SaleWords, shell::html},
};
use askama::Template;
use axum::{Router, extract::State, http::StatusCode, response::Response, routing::get};
use frontrow_domain::{id::ConcertId, line::Gate, time::Span};
use frontrow_service::house::{
    BackupFound, InstancesFound, MissingDetail, OpeningFound, Readiness, ReadyCheck, ReadyState, RedisTrouble,
};
use frontrow_storage::Sharing;
use std::time::Duration;

/// The routes of the checklist.
pub(super) fn routes() -> Router<SharedState> {
    Router::new().route("/operator/concerts/{concert_id}/ready", get(show))
}

/// What an operator has said of what the box office cannot see. It stands in the page's address, and nowhere else.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub(crate) struct ReadyQuery {
    backup: Option<String>,
}

/// A check as the page shows it.
struct CheckLine {
    look: &'static str,
    state: String,
    name: String,
    found: String,
    /// What to do about it.
    advice: Option<String>,
    /// Where that is done.
    link: Option<(String, String)>,
    /// Whether it waits for a word of the operator.
    asks: bool,
}

#[derive(Template)]
#[template(path = "cockpit/ready.html")]
struct ReadyPage {
    shell: CockpitShell,
    nav: ConcertNav,
    title: String,
    when: String,
    sale: SaleWords,
    path: String,
    looked: String,
    summary: String,
    checks: Vec<CheckLine>,
}

async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
    QueryParams(query): QueryParams<ReadyQuery>,
) -> HttpResult<Response> {
    let readiness = app.office.readiness(id).await?;
    let has_backup = query.backup.is_some_and(|word| word == "yes");
    let words = Words { shell: &shell, readiness: &readiness, has_backup };
    let seen = readiness.checks.iter().filter(|check| words.is_said(check)).map(|check| words.line(check));
    let checks: Vec<_> = seen.chain(app.joins.checker().map(|checker| checker_line(&shell, checker))).collect();
    let open = checks.iter().filter(|check| check.look != "good").count();
    let concert = &readiness.concert;
    let page = ReadyPage {
        nav: ConcertNav { id, here: ConcertPart::Ready },
        title: concert.title.clone(),
        when: shell.moment(&concert.starts_at, &concert.time_zone),
        sale: SaleWords::of(&shell, readiness.state, readiness.at, &concert.time_zone),
        path: format!("/operator/concerts/{id}/ready"),
        looked: shell.t1("ready-looked", "moment", shell.exact_hour(&readiness.at, &concert.time_zone)),
        summary: if open == 0 { shell.t("ready-all-good") } else { shell.t1("ready-open", "count", open) },
        checks,
        shell,
    };
    html(&page.shell, StatusCode::OK, &page)
}

/// Puts the checks into words.
struct Words<'a> {
    shell: &'a CockpitShell,
    readiness: &'a Readiness,
    has_backup: bool,
}

impl Words<'_> {
    /// Whether a check says something: how fast seats are sold is nothing to look at while there are none.
    fn is_said(&self, check: &ReadyCheck) -> bool {
        let has_seats = !self.readiness.checks.iter().any(|check| match check {
            ReadyCheck::Seats { seats, .. } => seats.available + seats.held + seats.sold == 0,
            _ => false,
        });
        has_seats || !matches!(check, ReadyCheck::Cap { .. } | ReadyCheck::Speed { .. } | ReadyCheck::SignIns { .. })
    }

    fn line(&self, check: &ReadyCheck) -> CheckLine {
        let shell = self.shell;
        let is_unseen = *check == ReadyCheck::Backup(BackupFound::Unseen);
        let asks = is_unseen && !self.has_backup;
        let state = if is_unseen && self.has_backup { ReadyState::Good } else { check.state() };
        let (look, word) = match state {
            ReadyState::Good => ("good", shell.t("ready-good")),
            ReadyState::Look => ("look", shell.t("ready-look")),
            ReadyState::Bad => ("bad", shell.t("ready-bad")),
            ReadyState::Unknown => ("unknown", shell.t("ready-unknown")),
        };
        let is_good = state == ReadyState::Good;
        CheckLine {
            look,
            state: word,
            name: self.name(check),
            found: self.found(check),
            advice: (!is_good).then(|| self.advice(check)),
            link: (!is_good).then(|| self.link(check)).flatten(),
            asks,
        }
    }

    fn name(&self, check: &ReadyCheck) -> String {
        let shell = self.shell;
        match check {
            ReadyCheck::Opening(_) => shell.t("ready-opening"),
            ReadyCheck::Seats { .. } => shell.t("ready-seats"),
            ReadyCheck::Cap { .. } => shell.t("ready-cap"),
            ReadyCheck::Speed { .. } => shell.t("ready-speed"),
            ReadyCheck::Message { .. } => shell.t("ready-message"),
            ReadyCheck::Details { .. } => shell.t("ready-details"),
            ReadyCheck::SignIns { .. } => shell.t("ready-sign-ins"),
            ReadyCheck::Clock { .. } => shell.t("ready-clock"),
            ReadyCheck::Database { .. } => shell.t("ready-database"),
            ReadyCheck::Instances(_) => shell.t("ready-instances"),
            ReadyCheck::Disk { .. } => shell.t("ready-disk"),
            ReadyCheck::Backup(_) => shell.t("ready-backup"),
        }
    }

    fn found(&self, check: &ReadyCheck) -> String {
        let (shell, zone) = (self.shell, &self.readiness.concert.time_zone);
        match check {
            ReadyCheck::Opening(OpeningFound::Opens { at, within }) => shell.t2(
                "ready-opens",
                "moment",
                shell.exact_moment(at, zone),
                "length",
                shell.length(minutes(*within)),
            ),
            ReadyCheck::Opening(OpeningFound::IsOpen { since }) => {
                shell.t1("ready-is-open", "moment", shell.exact_moment(since, zone))
            }
            ReadyCheck::Opening(OpeningFound::NoSale) => shell.t("ready-no-sale"),
            ReadyCheck::Seats { seats, free_of_charge } if free_of_charge.is_empty() => {
                let all = seats.available + seats.held + seats.sold;
                shell.t2("ready-seats-found", "seats", all, "blocked", seats.blocked)
            }
            ReadyCheck::Seats { free_of_charge, .. } => {
                shell.t1("ready-seats-free", "grades", free_of_charge.join(", "))
            }
            ReadyCheck::Cap { gate: Gate::Paused, .. } => shell.t("ready-paused"),
            ReadyCheck::Cap { cap, seats, .. } => shell.t2("ready-cap-found", "cap", *cap, "seats", *seats),
            ReadyCheck::Speed { rate, at_least, at_most } => self.speed(*rate, *at_least, *at_most),
            ReadyCheck::Message { message: Some(message) } => message.clone(),
            ReadyCheck::Message { message: None } => shell.t("ready-no-message"),
            ReadyCheck::Details { missing } if missing.is_empty() => shell.t("ready-details-found"),
            ReadyCheck::Details { missing } => {
                let missing: Vec<_> = missing.iter().map(|what| self.missing(*what)).collect();
                shell.t1("ready-details-missing", "what", missing.join(", "))
            }
            ReadyCheck::SignIns { a_minute, instances, people, takes, session } => {
                let rate = shell.t2("ready-sign-ins-rate", "count", a_minute * instances, "instances", *instances);
                let session = shell.t1("ready-sign-ins-session", "length", shell.length(*session));
                let people = match takes {
                    Some(takes) => {
                        shell.t2("ready-sign-ins-people", "people", *people, "length", shell.length(seconds_up(*takes)))
                    }
                    None => shell.t("ready-sign-ins-none"),
                };
                format!("{rate} {people} {session}")
            }
            ReadyCheck::Clock { sharing, now, ahead_ms } => {
                let shows = shell.exact_moment(now, zone);
                match sharing {
                    Sharing::Alone if *ahead_ms == 0 => shell.t1("ready-clock-machine", "moment", shows),
                    Sharing::Alone => shell.t2("ready-clock-held", "moment", shows, "ms", *ahead_ms),
                    Sharing::Shared => shell.t2("ready-clock-database", "moment", shows, "ms", *ahead_ms),
                }
            }
            ReadyCheck::Database { answered_in: None, .. } => shell.t("ready-database-away"),
            ReadyCheck::Database { sharing, answered_in: Some(took) } => {
                let took = millis(*took);
                match sharing {
                    Sharing::Alone => shell.t1("ready-database-file", "ms", took),
                    Sharing::Shared => shell.t1("ready-database-server", "ms", took),
                }
            }
            ReadyCheck::Instances(found) => self.instances(*found),
            ReadyCheck::Disk { space: None, .. } => shell.t("ready-disk-elsewhere"),
            ReadyCheck::Disk { space: Some(space), data } => {
                shell.t2("ready-disk-found", "free", mebibytes(space.free), "data", mebibytes(*data))
            }
            ReadyCheck::Backup(BackupFound::Unseen) if self.has_backup => shell.t("ready-backup-said"),
            ReadyCheck::Backup(BackupFound::Unseen) => shell.t("ready-backup-unseen"),
            ReadyCheck::Backup(BackupFound::Unreadable) => shell.t("ready-backup-unreadable"),
            ReadyCheck::Backup(BackupFound::Missing) => shell.t("ready-backup-missing"),
            ReadyCheck::Backup(BackupFound::Made { at, age }) => shell.t2(
                "ready-backup-found",
                "moment",
                shell.exact_moment(at, zone),
                "length",
                shell.length(minutes((*age).max(Span::ZERO))),
            ),
        }
    }

    fn speed(&self, rate: Option<i64>, at_least: Option<Span>, at_most: Option<Span>) -> String {
        let shell = self.shell;
        match (rate, at_least, at_most) {
            (_, _, None) => shell.t("ready-speed-none"),
            (Some(rate), Some(least), Some(_)) => {
                shell.t2("ready-speed-rate", "rate", rate, "length", shell.length(seconds_up(least)))
            }
            (_, _, Some(most)) => shell.t1("ready-speed-cap", "length", shell.length(minutes(most))),
        }
    }

    fn instances(&self, found: InstancesFound) -> String {
        let shell = self.shell;
        match found {
            InstancesFound::Alone => shell.t("ready-alone"),
            InstancesFound::Shared { trouble: Some(RedisTrouble::Unreachable), .. } => shell.t("ready-redis-away"),
            InstancesFound::Shared { trouble: Some(RedisTrouble::Full), .. } => shell.t("ready-redis-full"),
            InstancesFound::Shared { present, silent, .. } if silent > 0 => {
                shell.t2("ready-instances-silent", "count", present, "silent", silent)
            }
            InstancesFound::Shared { present, versions, .. } if versions > 1 => {
                shell.t2("ready-instances-mixed", "count", present, "versions", versions)
            }
            InstancesFound::Shared { present, .. } => shell.t1("ready-instances-found", "count", present),
        }
    }

    fn missing(&self, what: MissingDetail) -> String {
        let shell = self.shell;
        match what {
            MissingDetail::Poster => shell.t("ready-missing-poster"),
            MissingDetail::Description => shell.t("ready-missing-description"),
            MissingDetail::AgeRating => shell.t("ready-missing-age"),
            MissingDetail::RunningTime => shell.t("ready-missing-length"),
            MissingDetail::OrganiserContact => shell.t("ready-missing-contact"),
        }
    }

    fn advice(&self, check: &ReadyCheck) -> String {
        let shell = self.shell;
        match check {
            ReadyCheck::Opening(OpeningFound::NoSale) => shell.t("ready-do-opening"),
            ReadyCheck::Opening(_) => shell.t("ready-do-nothing"),
            ReadyCheck::Seats { free_of_charge, .. } if free_of_charge.is_empty() => shell.t("ready-do-seats"),
            ReadyCheck::Seats { .. } => shell.t("ready-do-prices"),
            ReadyCheck::Cap { gate: Gate::Paused, .. } => shell.t("ready-do-gate"),
            ReadyCheck::Cap { cap: ..=0, .. } | ReadyCheck::Speed { at_most: None, .. } => shell.t("ready-do-cap-none"),
            ReadyCheck::Cap { .. } => shell.t("ready-do-cap"),
            ReadyCheck::Speed { .. } => shell.t("ready-do-speed"),
            ReadyCheck::Message { .. } => shell.t("ready-do-message"),
            ReadyCheck::Details { .. } => shell.t("ready-do-details"),
            ReadyCheck::SignIns { .. } => shell.t("ready-do-sign-ins"),
            ReadyCheck::Clock { .. } => shell.t("ready-do-clock"),
            ReadyCheck::Database { .. } => shell.t("ready-do-database"),
            ReadyCheck::Instances(InstancesFound::Shared { trouble: Some(_), .. }) => shell.t("ready-do-redis"),
            ReadyCheck::Instances(InstancesFound::Shared { silent: 1.., .. }) => shell.t("ready-do-silent"),
            ReadyCheck::Instances(_) => shell.t("ready-do-versions"),
            ReadyCheck::Disk { space: None, .. } => shell.t("ready-do-disk-elsewhere"),
            ReadyCheck::Disk { .. } => shell.t("ready-do-disk"),
            ReadyCheck::Backup(BackupFound::Unreadable) => shell.t("ready-do-backup-folder"),
            ReadyCheck::Backup(_) => shell.t("ready-do-backup"),
        }
    }

    /// Where an operator does what is advised.
    fn link(&self, check: &ReadyCheck) -> Option<(String, String)> {
        let (shell, id) = (self.shell, self.readiness.concert.concert_id);
        match check {
            ReadyCheck::Cap { .. } | ReadyCheck::Speed { .. } | ReadyCheck::Message { .. } => {
                Some((format!("/operator/concerts/{id}/sale"), shell.t("ready-to-room")))
            }
            ReadyCheck::Seats { .. } => Some((format!("/operator/concerts/{id}/seats"), shell.t("ready-to-seats"))),
            ReadyCheck::Opening(_) => Some((format!("/operator/concerts/{id}"), shell.t("ready-to-concert"))),
            ReadyCheck::Details { missing } if missing.as_slice() == [MissingDetail::Poster] => {
                Some((format!("/operator/concerts/{id}/poster"), shell.t("ready-to-poster")))
            }
            // The form of the concert's details links the poster, too.
            ReadyCheck::Details { .. } => Some((format!("/operator/concerts/{id}/edit"), shell.t("ready-to-details"))),
            ReadyCheck::SignIns { .. }
            | ReadyCheck::Clock { .. }
            | ReadyCheck::Database { .. }
            | ReadyCheck::Instances(_)
            | ReadyCheck::Disk { .. }
            | ReadyCheck::Backup(_) => None,
        }
    }
}

/// The program that is asked about new places, as this instance last found it.
fn checker_line(shell: &CockpitShell, (address, health): (String, CheckerHealth)) -> CheckLine {
    let (look, state, found) = match health {
        CheckerHealth::Well => ("good", "ready-good", shell.t1("ready-checker-well", "address", address)),
        CheckerHealth::Away(CheckFails::Open) => {
            ("look", "ready-look", shell.t1("ready-checker-open", "address", address))
        }
        CheckerHealth::Away(CheckFails::Closed) => {
            ("bad", "ready-bad", shell.t1("ready-checker-closed", "address", address))
        }
    };
    CheckLine {
        look,
        state: shell.t(state),
        name: shell.t("ready-checker"),
        found,
        advice: (health != CheckerHealth::Well).then(|| shell.t("ready-do-checker")),
        link: None,
        asks: false,
    }
}

/// Whole minutes of a span of some, rounded up.
fn minutes(span: Span) -> Span {
    const MINUTE: i64 = 60_000_000;
    if span.micros() < MINUTE {
        return seconds_up(span);
    }
    Span::from_secs(60 * (span.micros() / MINUTE + i64::from(span.micros() % MINUTE > 0)))
}

/// Whole seconds, rounded up.
fn seconds_up(span: Span) -> Span {
    Span::from_secs(span.micros() / 1_000_000 + i64::from(span.micros() % 1_000_000 > 0))
}

fn millis(took: Duration) -> i64 {
    i64::try_from(took.as_millis()).unwrap_or(i64::MAX)
}

fn mebibytes(bytes: u64) -> i64 {
    i64::try_from(bytes >> 20).unwrap_or(i64::MAX)
}
