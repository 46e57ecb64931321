//! The lines of a user: where the user has a place or is blocked, and the forms that take the place and keep the user out.

use super::{form, path_of, user_of};
use crate::{
    cockpit::{
        acts::{ActChoice, ActPage, ActVisit},
        entries::line_name,
        orders::{ROWS, heads},
        search::token_status,
        shell::CockpitShell,
        tables::{Cell, Link, ListPage, RowTable},
    },
    edge::{
        extract::{PathId, PathKey},
        form::FormFields,
        problem::HttpResult,
        state::SharedState,
    },
    html::shell::HOME_ZONE,
};
use axum::{Router, extract::State, response::Response, routing::get};
use frontrow_domain::{
    command::NewBlock,
    id::{RoomId, UserId},
    line::LineBlock,
    refusal::{EntityKind, Refusal},
    time::Span,
    user::User,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Formatter},
};

/// The routes of a user's lines.
pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route("/operator/users/{user_id}/lines", get(show))
        .route("/operator/line-places/{place}/remove", get(ask_to_remove).post(remove))
        .route("/operator/line-places/{place}/block", get(ask_to_block).post(block))
        .route("/operator/line-places/{place}/unblock", get(ask_to_unblock).post(unblock))
}

/// A user in the line of a room: `0-` and the user's id for the house room.
#[derive(Debug, Clone, Copy)]
pub(in crate::cockpit) struct LinePlace {
    pub(in crate::cockpit) room: RoomId,
    pub(in crate::cockpit) user: UserId,
}

impl Display for LinePlace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.room, self.user)
    }
}

impl PathKey for LinePlace {
    fn from_text(text: &str) -> Result<Self, &'static str> {
        let (room, user) = text.split_once('-').ok_or("a place is a room and a user")?;
        Ok(Self { room: RoomId::from_text(room)?, user: UserId::from_text(user)? })
    }
}

impl LinePlace {
    /// The address of an act's form.
    pub(in crate::cockpit) fn path(self, act: &str) -> String {
        format!("/operator/line-places/{self}/{act}")
    }
}

/// How long a block is in force, in words.
pub(in crate::cockpit) fn block_end(shell: &CockpitShell, block: &LineBlock) -> String {
    match block.until {
        Some(until) => shell.t1("orders-blocked-until", "when", shell.exact_moment(&until, HOME_ZONE)),
        None => shell.t("orders-blocked-open"),
    }
}

/// The blocks of a user that are in force.
pub(super) fn blocks_table(shell: &CockpitShell, blocks: &[LineBlock]) -> RowTable {
    let rows = blocks.iter().map(|block| {
        vec![
            Cell::link(line_name(shell, block.room_id), format!("/operator/rooms/{}", block.room_id)),
            Cell::text(block_end(shell, block)),
            Cell::text(block.reason.clone()),
        ]
    });
    RowTable {
        caption: shell.t("orders-blocks"),
        heads: heads(shell, ["orders-room-head", "orders-state", "orders-reason"]),
        rows: rows.collect(),
        none: String::new(),
    }
}

/// The lines in which the user has a place or is blocked, and those of the season.
async fn show(State(app): State<SharedState>, shell: CockpitShell, PathId(id): PathId<UserId>) -> HttpResult<Response> {
    let user = app.office.user(id).await?.ok_or(Refusal::NotFound { what: EntityKind::User })?;
    let places: BTreeMap<_, _> = app
        .office
        .live_tokens(id)
        .await?
        .into_iter()
        .map(|place| (place.token.id.room_id.general(), place.token))
        .collect();
    let blocks: BTreeMap<_, _> =
        app.office.line_blocks_of(id).await?.into_iter().map(|block| (block.room_id, block)).collect();
    let season = app.office.season().await?;
    let mut rooms = vec![RoomId::HOUSE];
    rooms.extend(places.keys().chain(blocks.keys()));
    rooms.extend(season.concerts.iter().map(|shown| shown.on_sale.concert.room_id));
    let mut seen = BTreeSet::new();
    rooms.retain(|room| seen.insert(*room));
    rooms.truncate(usize::try_from(ROWS).unwrap_or(usize::MAX));
    let act = |place: LinePlace, id: &str, name: &str| Cell::link(shell.t(id), place.path(name));
    let rows = rooms.into_iter().map(|room| {
        let (place, at) = (LinePlace { room, user: id }, places.get(&room));
        let state = match (blocks.get(&room), at) {
            (Some(block), _) => block_end(&shell, block),
            (None, Some(token)) => token_status(&shell, token.status()),
            (None, None) => shell.t("orders-not-in-line"),
        };
        let removal = match at {
            Some(_) if shell.may_change() => act(place, "orders-line-remove", "remove"),
            _ => Cell::default(),
        };
        let block = match blocks.get(&room) {
            _ if !shell.may_change() => Cell::default(),
            Some(_) => act(place, "orders-line-unblock", "unblock"),
            None => act(place, "orders-line-block", "block"),
        };
        vec![Cell::link(line_name(&shell, room), format!("/operator/rooms/{room}")), Cell::text(state), removal, block]
    });
    let title = shell.t1("orders-lines-of", "name", user.name.as_str());
    ListPage {
        about: Some(Link::to(user.name, path_of(id))),
        path: "/operator/users",
        state: None,
        choices: Vec::new(),
        texts: Vec::new(),
        table: RowTable {
            caption: title.clone(),
            heads: heads(
                &shell,
                ["orders-room-head", "orders-state", "orders-line-remove-head", "orders-line-block-head"],
            ),
            rows: rows.collect(),
            none: shell.t("orders-none"),
        },
        newest: None,
        older: None,
        title,
        shell,
    }
    .answer()
}

/// The form of an act for a user in a line.
async fn line_form(visit: &ActVisit<LinePlace>, title: &str, act: &str, button: &str) -> HttpResult<ActPage> {
    let LinePlace { room, user } = visit.id;
    let shell = visit.shell.clone();
    let of_user = ActVisit { app: visit.app.clone(), shell: shell.clone(), caller: visit.caller, id: user };
    let user: User = user_of(&of_user).await?;
    // There is no form for the line of a room that does not exist.
    visit.app.office.room(room).await?;
    let name = line_name(&shell, room);
    let mut page = form(&of_user, user.clone(), title, "", button);
    page.title = shell.t2(title, "name", user.name.as_str(), "line", name);
    page.action = visit.id.path(act);
    Ok(page)
}

async fn removal_form(visit: &ActVisit<LinePlace>) -> HttpResult<ActPage> {
    let effects = vec![visit.shell.t("orders-line-remove-ends"), visit.shell.t("orders-line-remove-again")];
    let page = line_form(visit, "orders-line-remove-title", "remove", "orders-line-remove-button").await?;
    Ok(page.with_effects(effects).with_reason("orders-reason-log"))
}

async fn ask_to_remove(visit: ActVisit<LinePlace>) -> HttpResult<Response> {
    removal_form(&visit).await?.answer()
}

async fn remove(visit: ActVisit<LinePlace>, fields: FormFields) -> HttpResult<Response> {
    let mut page = removal_form(&visit).await?;
    let Some(reason) = page.reason(&fields) else { return page.answer() };
    let key = visit.key(&fields, "/operator/line-places/{id}/remove")?;
    let LinePlace { room, user } = visit.id;
    let removed = visit.app.office.remove_from_line(visit.caller, (room, user), reason, key).await;
    page.ended(removed, &path_of(user))
}

/// How long a block may last: what the form sends, its words, and the time; none for until it is lifted.
const BLOCK_SPANS: [(&str, &str, Option<Span>); 4] = [
    ("hour", "orders-block-hour", Some(Span::from_secs(3_600))),
    ("day", "orders-block-day", Some(Span::from_secs(86_400))),
    ("week", "orders-block-week", Some(Span::from_secs(7 * 86_400))),
    ("open", "orders-block-open", None),
];

async fn block_form(visit: &ActVisit<LinePlace>) -> HttpResult<ActPage> {
    let shell = &visit.shell;
    let effects = vec![shell.t("orders-line-remove-ends"), shell.t("orders-line-block-refuses")];
    let mut page = line_form(visit, "orders-line-block-title", "block", "orders-line-block-button").await?;
    page.choice = Some(ActChoice {
        name: "span",
        label: shell.t("orders-block-span"),
        options: BLOCK_SPANS.iter().map(|(value, words, _)| (*value, shell.t(words))).collect(),
        chosen: "day".to_owned(),
        fault: None,
    });
    Ok(page.with_effects(effects).with_reason("orders-reason-log"))
}

async fn ask_to_block(visit: ActVisit<LinePlace>) -> HttpResult<Response> {
    block_form(&visit).await?.answer()
}

async fn block(visit: ActVisit<LinePlace>, fields: FormFields) -> HttpResult<Response> {
    let mut page = block_form(&visit).await?;
    let reason = page.reason(&fields);
    let given = fields.given("span").to_owned();
    let span = BLOCK_SPANS.iter().find(|(value, ..)| *value == given).map(|(_, _, span)| *span);
    if let Some(choice) = page.choice.as_mut() {
        choice.fault = span.is_none().then(|| visit.shell.t("orders-field-missing"));
        choice.chosen = given;
    }
    let (Some(reason), Some(span)) = (reason, span) else { return page.answer() };
    let key = visit.key(&fields, "/operator/line-places/{id}/block")?;
    let LinePlace { room, user } = visit.id;
    let until = span.map(|span| visit.app.office.now().plus(span));
    let new = NewBlock { room_id: room, user_id: user, reason, until };
    page.ended(visit.app.office.block_from_line(visit.caller, new, key).await, &path_of(user))
}

async fn unblock_form(visit: &ActVisit<LinePlace>) -> HttpResult<ActPage> {
    let page = line_form(visit, "orders-line-unblock-title", "unblock", "orders-line-unblock-button").await?;
    Ok(page.with_effects(vec![visit.shell.t("orders-line-unblock-allows")]))
}

async fn ask_to_unblock(visit: ActVisit<LinePlace>) -> HttpResult<Response> {
    unblock_form(&visit).await?.answer()
}

async fn unblock(visit: ActVisit<LinePlace>, fields: FormFields) -> HttpResult<Response> {
    let page = unblock_form(&visit).await?;
    let key = visit.key(&fields, "/operator/line-places/{id}/unblock")?;
    let LinePlace { room, user } = visit.id;
    let unblocked = visit.app.office.unblock_from_line(visit.caller, (room, user), key).await;
    page.ended(unblocked, &path_of(user))
}
