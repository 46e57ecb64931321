//! The lanes beside a line, and the accounts that may join each.

use super::{name_of, path_of};
use crate::{
    cockpit::{
        acts::{ActChoice, ActPage, ActVisit},
        entries::line_name,
        orders::{ROWS, heads},
        shell::CockpitShell,
        tables::{Cell, Link, ObjectFact, RowTable},
    },
    edge::{
        form::FormFields,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::shell::HOME_ZONE,
};
use axum::response::Response;
use frontrow_domain::{
    command::LaneStep,
    id::{RoomId, UserId},
    line::{LaneEntry, LaneKind, LaneOf, LaneShare, Room},
};
use frontrow_storage::Page;

/// How many digits a share may have.
const DIGITS_MAX: usize = 20;
/// How many characters an e-mail address may have.
const EMAIL_LEN_MAX: usize = 254;

const fn kind_id(kind: LaneKind) -> &'static str {
    match kind {
        LaneKind::Invitation => "orders-lane-invitation",
        LaneKind::Accessibility => "orders-lane-accessibility",
    }
}

const fn entry_id(entry: LaneEntry) -> &'static str {
    match entry {
        LaneEntry::Open => "orders-lane-is-open",
        LaneEntry::Ended => "orders-lane-is-ended",
    }
}

/// What a lane is, as its page says it.
pub(super) fn facts(shell: &CockpitShell, room: &Room) -> Vec<ObjectFact> {
    let Some(lane) = room.lane else { return Vec::new() };
    vec![
        ObjectFact::of(shell.t("orders-lane-of"), Cell::link(line_name(shell, lane.room), path_of(lane.room))),
        ObjectFact::of(shell.t("orders-lane-kind"), Cell::text(shell.t(kind_id(lane.kind)))),
        ObjectFact::of(shell.t("orders-lane-share"), Cell::text(shell.t1("orders-percent", "n", lane.share.percent()))),
        ObjectFact::of(shell.t("orders-state"), Cell::text(shell.t(entry_id(lane.entry)))),
    ]
}

/// What operators do with the lanes of a line, or with a lane.
pub(super) fn acts(shell: &CockpitShell, room: &Room) -> Vec<Link> {
    let path = path_of(room.room_id);
    let act = |id: &str, last: &str| Link::to(shell.t(id), format!("{path}/{last}"));
    match room.lane {
        None => vec![act("orders-lane-open", "lanes")],
        Some(lane) => vec![
            act("orders-lane-set", "lane"),
            match lane.entry {
                LaneEntry::Open => act("orders-lane-end", "lane/end"),
                LaneEntry::Ended => act("orders-lane-reopen", "lane/reopen"),
            },
            act("orders-guest-add", "guests"),
            act("orders-guest-remove", "guests/removals"),
        ],
    }
}

/// The lanes beside a general line.
fn lanes_table(app: &SharedState, shell: &CockpitShell, room: RoomId) -> RowTable {
    let lanes = app.office.lanes_of(room);
    let rows = lanes.iter().filter_map(|row| {
        let LaneOf { kind, share, entry, .. } = row.lane?;
        Some(vec![
            Cell::link(shell.t(kind_id(kind)), path_of(row.room_id)),
            Cell::figure(shell.t1("orders-percent", "n", share.percent())),
            Cell::figure(shell.number(&row.max_active_tokens())),
            Cell::text(shell.t(entry_id(entry))),
        ])
    });
    RowTable {
        caption: shell.t("orders-lanes"),
        heads: heads(shell, ["orders-lane-head", "orders-lane-share", "orders-allotment", "orders-state"]),
        rows: rows.collect(),
        none: shell.t("orders-lanes-none"),
    }
}

/// The accounts on the list of a lane.
async fn guests_table(app: &SharedState, shell: &CockpitShell, lane: RoomId) -> HttpResult<RowTable> {
    let mut guests = app.office.lane_guests(lane, Page { after: None, limit: ROWS.saturating_add(1) }).await?;
    let most = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let is_cut = guests.len() > most;
    guests.truncate(most);
    let rows = guests.into_iter().map(|(guest, user)| {
        let (name, email) =
            user.map_or_else(|| (guest.user_id.to_string(), String::new()), |user| (user.name, user.email));
        vec![
            Cell::link(name, format!("/operator/users/{}", guest.user_id)),
            Cell::text(email),
            Cell::text(shell.exact_moment(&guest.added_at, HOME_ZONE)),
        ]
    });
    Ok(RowTable {
        caption: if is_cut { shell.t1("orders-guests-cut", "n", most) } else { shell.t("orders-guests") },
        heads: heads(shell, ["orders-name", "orders-guest-email", "orders-guests-since"]),
        rows: rows.collect(),
        none: shell.t("orders-guests-none"),
    })
}

/// The table of the lanes beside a line, or of the accounts that may join a lane.
pub(super) async fn table(app: &SharedState, shell: &CockpitShell, room: &Room) -> HttpResult<RowTable> {
    if room.lane.is_some() {
        return guests_table(app, shell, room.room_id).await;
    }
    Ok(lanes_table(app, shell, room.room_id))
}

/// An act on a lane, or on the lanes of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LaneAct {
    Open,
    Share,
    End,
    Reopen,
    AddGuest,
    RemoveGuest,
}

impl LaneAct {
    const fn last(self) -> &'static str {
        match self {
            Self::Open => "lanes",
            Self::Share => "lane",
            Self::End => "lane/end",
            Self::Reopen => "lane/reopen",
            Self::AddGuest => "guests",
            Self::RemoveGuest => "guests/removals",
        }
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Open => ("orders-lane-open", "orders-lane-open-effect"),
            Self::Share => ("orders-lane-set", "orders-lane-set-effect"),
            Self::End => ("orders-lane-end", "orders-lane-end-effect"),
            Self::Reopen => ("orders-lane-reopen", "orders-lane-reopen-effect"),
            Self::AddGuest => ("orders-guest-add", "orders-guest-add-effect"),
            Self::RemoveGuest => ("orders-guest-remove", "orders-guest-remove-effect"),
        }
    }

    /// Whether the form asks for a reason: the act may take something from buyers, which the rules decide.
    const fn asks_reason(self) -> bool {
        matches!(self, Self::Open | Self::Share | Self::End)
    }

    async fn page(self, app: &SharedState, shell: CockpitShell, id: RoomId) -> HttpResult<ActPage> {
        let room = app.office.room(id).await?.room;
        let about = Link::to(name_of(&shell, &room), path_of(id));
        let (title, effect) = self.words();
        let (title, effect) = (shell.t(title), shell.t(effect));
        let options = [("invitation", LaneKind::Invitation), ("accessibility", LaneKind::Accessibility)];
        let choice = (self == Self::Open).then(|| ActChoice {
            name: "kind",
            label: shell.t("orders-lane-kind"),
            options: options.map(|(value, kind)| (value, shell.t(kind_id(kind)))).into(),
            chosen: String::new(),
            fault: None,
        });
        let action = format!("{}/{}", path_of(id), self.last());
        let page = ActPage::of(shell, title.clone(), about, action, title).with_effects(vec![effect]);
        let mut page = match self {
            Self::Open | Self::Share => {
                page.with_line("share_percent", "orders-lane-share", "orders-lane-share-hint", DIGITS_MAX)
            }
            Self::AddGuest | Self::RemoveGuest => {
                page.with_line("email", "orders-guest-email", "orders-guest-email-hint", EMAIL_LEN_MAX)
            }
            Self::End | Self::Reopen => page,
        };
        page.choice = choice;
        Ok(if self.asks_reason() { page.with_reason("orders-reason-log") } else { page })
    }

    async fn form(self, visit: ActVisit<RoomId>) -> HttpResult<Response> {
        self.page(&visit.app, visit.shell, visit.id).await?.answer()
    }

    async fn done(self, visit: ActVisit<RoomId>, fields: FormFields) -> HttpResult<Response> {
        let mut page = self.page(&visit.app, visit.shell.clone(), visit.id).await?;
        let (office, caller, id) = (&visit.app.office, visit.caller, visit.id);
        let key = visit.key(&fields, &format!("/operator/rooms/{{id}}/{}", self.last()))?;
        let reason = if self.asks_reason() { page.reason(&fields) } else { None };
        let outcome: Result<(), Problem> = match self {
            Self::Open => {
                let kind = kind_in(&mut page, &fields);
                let (Some(kind), Some(share), Some(_)) = (kind, share_in(&mut page, &fields), &reason) else {
                    return page.answer();
                };
                office.open_lane(caller, (id, kind), share, reason, key).await.map(|_| ()).map_err(Problem::from)
            }
            Self::Share => {
                let (Some(share), Some(_)) = (share_in(&mut page, &fields), &reason) else { return page.answer() };
                office.set_lane(caller, id, (Some(share), None), reason, key).await.map(|_| ()).map_err(Problem::from)
            }
            Self::End => {
                let Some(_) = &reason else { return page.answer() };
                let entry = Some(LaneEntry::Ended);
                office.set_lane(caller, id, (None, entry), reason, key).await.map(|_| ()).map_err(Problem::from)
            }
            Self::Reopen => {
                let entry = Some(LaneEntry::Open);
                office.set_lane(caller, id, (None, entry), None, key).await.map(|_| ()).map_err(Problem::from)
            }
            Self::AddGuest | Self::RemoveGuest => {
                let Some(user_id) = user_in(&visit.app, &mut page, &fields).await? else { return page.answer() };
                let step = match self {
                    Self::AddGuest => LaneStep::AddGuest { user_id },
                    _ => LaneStep::RemoveGuest { user_id },
                };
                office.change_guests(caller, id, step, key).await.map(|_| ()).map_err(Problem::from)
            }
        };
        page.ended(outcome, &path_of(id))
    }
}

fn kind_in(page: &mut ActPage, fields: &FormFields) -> Option<LaneKind> {
    let kind = match fields.text("kind") {
        Ok("invitation") => Some(LaneKind::Invitation),
        Ok("accessibility") => Some(LaneKind::Accessibility),
        _ => None,
    };
    let why = kind.is_none().then(|| page.shell.t("orders-field-kind"));
    if let Some(choice) = &mut page.choice {
        fields.given("kind").clone_into(&mut choice.chosen);
        choice.fault = why;
    }
    kind
}

fn share_in(page: &mut ActPage, fields: &FormFields) -> Option<LaneShare> {
    page.read(fields, "share_percent", |text| {
        text.parse::<i64>().ok().and_then(|share| LaneShare::try_from(share).ok()).ok_or("orders-field-share")
    })
}

/// The account that was named, if there is one.
async fn user_in(app: &SharedState, page: &mut ActPage, fields: &FormFields) -> HttpResult<Option<UserId>> {
    let given = fields.text("email").unwrap_or_default().trim().to_owned();
    let found = app.office.user_of_address(&given).await?;
    Ok(page.read(fields, "email", |_| found.ok_or("orders-field-email")))
}

macro_rules! forms {
    ($($form:ident, $done:ident: $act:ident;)+) => {$(
        pub(super) async fn $form(visit: ActVisit<RoomId>) -> HttpResult<Response> {
            LaneAct::$act.form(visit).await
        }

        pub(super) async fn $done(visit: ActVisit<RoomId>, fields: FormFields) -> HttpResult<Response> {
            LaneAct::$act.done(visit, fields).await
        }
    )+};
}

forms! {
    open_form, open: Open;
    share_form, share: Share;
    end_form, end: End;
    reopen_form, reopen: Reopen;
    add_guest_form, add_guest: AddGuest;
    remove_guest_form, remove_guest: RemoveGuest;
}
