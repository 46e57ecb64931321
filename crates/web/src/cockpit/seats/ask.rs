//! What a choice becomes is asked again, with how many seats it is about and which are left out.

use super::{
    SeatsVisit,
    choice::{self, SeatChoice},
};
use crate::{
    cockpit::shell::CockpitShell,
    edge::{
        extract::PathId,
        form::{FormFields, LargeForm},
        problem::HttpResult,
        state::SharedState,
    },
    html::forms::{FormNotice, form_page, fresh_key},
};
use askama::Template;
use axum::{
    extract::{FromRequest as _, Request, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    id::{ConcertId, SeatId},
    sale::{Seat, SeatStatus},
    text::InvalidField,
};
use frontrow_service::sale::HallView;

/// What can be done with chosen seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SeatAct {
    Block,
    Free,
    Change,
    Remove,
}

impl SeatAct {
    /// The act of a form; none if it names none.
    ///
    /// # Errors
    /// It names several.
    pub(super) fn of(fields: &FormFields) -> Result<Option<Self>, InvalidField> {
        Ok(match fields.one_or_none("act")? {
            Some("block") => Some(Self::Block),
            Some("free") => Some(Self::Free),
            Some("change") => Some(Self::Change),
            Some("remove") => Some(Self::Remove),
            _ => None,
        })
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Free => "free",
            Self::Change => "change",
            Self::Remove => "remove",
        }
    }

    /// Why it cannot be done with a seat as it is; none if it can.
    fn obstacle(self, seat: &Seat) -> Option<Obstacle> {
        match (self, seat.status()) {
            (_, SeatStatus::Held) => Some(Obstacle::Held),
            (_, SeatStatus::Sold) => Some(Obstacle::Sold),
            (Self::Free, SeatStatus::Available) => Some(Obstacle::Free),
            (Self::Remove, _) if seat.was_held => Some(Obstacle::HasHistory),
            _ => None,
        }
    }
}

/// Why a seat is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    Held,
    Sold,
    Free,
    HasHistory,
}

impl Obstacle {
    const ALL: [Self; 4] = [Self::Held, Self::Sold, Self::Free, Self::HasHistory];
}

/// Seats that are left out, and why.
#[derive(Debug)]
struct LeftOut {
    why: String,
    places: String,
}

/// A field of the form that asks.
#[derive(Debug, Clone, Default)]
pub(super) struct AskedField {
    pub(super) value: String,
    /// What the page showed at first: the same again changes nothing.
    pub(super) before: String,
    /// What is wrong with it.
    pub(super) fault: Option<String>,
}

/// The fields of the form that asks.
#[derive(Debug, Clone, Default)]
pub(super) struct AskedFields {
    pub(super) reason: AskedField,
    pub(super) price: AskedField,
    pub(super) section: AskedField,
    pub(super) row: AskedField,
    pub(super) number: AskedField,
    pub(super) grade: AskedField,
}

#[derive(Template)]
#[template(path = "cockpit/seats/ask.html")]
struct SeatsAskPage {
    shell: CockpitShell,
    path: String,
    title: String,
    act: SeatAct,
    heading: String,
    button: String,
    notice: Option<FormNotice>,
    /// How many seats it is about.
    count: i64,
    places: String,
    /// More that there is to know of them.
    remark: Option<String>,
    left_out: Vec<LeftOut>,
    gone: i64,
    chosen: String,
    key: String,
    fields: AskedFields,
    /// Whether the seats have different values now.
    is_one: bool,
}

/// Asks what is to become of the chosen seats.
pub(super) async fn ask(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(concert_id): PathId<ConcertId>,
    request: Request,
) -> HttpResult<Response> {
    let form = if shell.may_change() {
        LargeForm::from_request(request, &app).await?
    } else {
        LargeForm::of_viewer(request, &app).await?
    };
    let visit = SeatsVisit::of(shell, app, concert_id);
    let view = visit.hall().await?;
    let choice = SeatChoice::of(&form.fields, &view.seats.order)?;
    let Some(act) = SeatAct::of(&form.fields)? else {
        return visit.about(&view, &choice).await;
    };
    if !visit.shell.may_change() {
        return Err(frontrow_domain::refusal::Refusal::Forbidden.into());
    }
    if choice.seats.is_empty() && choice.gone == 0 {
        return Ok(Redirect::to(&visit.path()).into_response());
    }
    if choice.seats.is_empty() {
        let notice = Some(visit.gone_notice());
        let again = AskedAgain { notice, fields: AskedFields::default(), key: fresh_key() };
        return visit.asked(&view, act, &choice, Some(again)).await;
    }
    visit.asked(&view, act, &choice, None).await
}

/// A form that comes back: why, with what was typed, and under which key it is sent again.
#[derive(Debug)]
pub(super) struct AskedAgain {
    pub(super) notice: Option<FormNotice>,
    pub(super) fields: AskedFields,
    pub(super) key: String,
}

impl SeatsVisit {
    /// The page that asks.
    pub(super) async fn asked(
        self,
        view: &HallView,
        act: SeatAct,
        choice: &SeatChoice,
        again: Option<AskedAgain>,
    ) -> HttpResult<Response> {
        let order = &view.seats.order;
        let rows = self.app.office.seat_rows(self.concert_id, &choice.seats).await?;
        let (mut ready, mut obstacles): (Vec<&Seat>, Vec<(Obstacle, SeatId)>) = (Vec::new(), Vec::new());
        for seat in &rows {
            match act.obstacle(seat) {
                None => ready.push(seat),
                Some(obstacle) => obstacles.push((obstacle, seat.seat_id)),
            }
        }
        let seats: Vec<_> = ready.iter().map(|seat| seat.seat_id).collect();
        let count = i64::try_from(seats.len()).unwrap_or(i64::MAX);
        let left_out = Obstacle::ALL.into_iter().filter_map(|obstacle| {
            let seats: Vec<_> =
                obstacles.iter().filter(|(found, _)| *found == obstacle).map(|(_, seat)| *seat).collect();
            let places = choice::in_words(order, &self.words, &seats);
            (!seats.is_empty()).then(|| LeftOut { why: self.why(obstacle, seats.len()), places })
        });
        let blocked = ready.iter().filter(|seat| seat.status() == SeatStatus::Blocked).count();
        let remark =
            (act == SeatAct::Block && blocked > 0).then(|| self.shell.t1("seats-blocked-already", "count", blocked));
        let AskedAgain { notice, fields, key } = again.unwrap_or_else(|| AskedAgain {
            notice: None,
            fields: AskedFields::of_seats(&ready),
            key: fresh_key(),
        });
        let (heading, button) = self.question(act, count);
        let page = SeatsAskPage {
            path: self.path(),
            title: view.on_sale.concert.title.clone(),
            act,
            heading,
            button,
            notice,
            count,
            places: choice::in_words(order, &self.words, &seats),
            remark,
            left_out: left_out.collect(),
            gone: i64::try_from(choice.gone).unwrap_or(i64::MAX),
            chosen: choice::text_of(&seats),
            key,
            fields,
            is_one: count == 1,
            shell: self.shell,
        };
        form_page(&page.shell, page.notice.as_ref(), &page)
    }

    fn why(&self, obstacle: Obstacle, count: usize) -> String {
        match obstacle {
            Obstacle::Held => self.shell.t1("seats-out-held", "count", count),
            Obstacle::Sold => self.shell.t1("seats-out-sold", "count", count),
            Obstacle::Free => self.shell.t1("seats-out-free", "count", count),
            Obstacle::HasHistory => self.shell.t1("seats-out-history", "count", count),
        }
    }

    fn question(&self, act: SeatAct, count: i64) -> (String, String) {
        let shell = &self.shell;
        match act {
            SeatAct::Block => (shell.t1("seats-ask-block", "count", count), shell.t1("seats-do-block", "count", count)),
            SeatAct::Free => (shell.t1("seats-ask-free", "count", count), shell.t1("seats-do-free", "count", count)),
            SeatAct::Change => {
                (shell.t1("seats-ask-change", "count", count), shell.t1("seats-do-change", "count", count))
            }
            SeatAct::Remove => {
                (shell.t1("seats-ask-remove", "count", count), shell.t1("seats-do-remove", "count", count))
            }
        }
    }
}

impl AskedFields {
    /// The values that all of the seats have.
    fn of_seats(seats: &[&Seat]) -> Self {
        let same = |value: &dyn Fn(&Seat) -> String| {
            let mut values = seats.iter().map(|seat| value(seat));
            let first = values.next().unwrap_or_default();
            let value = if values.all(|other| other == first) { first } else { String::new() };
            AskedField { before: value.clone(), value, fault: None }
        };
        Self {
            reason: AskedField::default(),
            price: same(&|seat| seat.price.get().to_string()),
            section: same(&|seat| seat.label.section.clone()),
            row: same(&|seat| seat.label.row.clone()),
            number: same(&|seat| seat.label.number.clone()),
            grade: same(&|seat| seat.label.grade.clone()),
        }
    }

    /// The fields of a form that was sent. One that the form does not have changes nothing.
    ///
    /// # Errors
    /// A field is there twice, or not UTF-8.
    pub(super) fn of_form(fields: &FormFields) -> Result<Self, InvalidField> {
        let field = |name, before| -> Result<AskedField, InvalidField> {
            let before = fields.one_or_none(before)?.unwrap_or_default();
            let value = fields.one_or_none(name)?.unwrap_or(before);
            Ok(AskedField { value: value.to_owned(), before: before.to_owned(), fault: None })
        };
        let reason = fields.one_or_none("reason")?.unwrap_or_default().to_owned();
        Ok(Self {
            reason: AskedField { value: reason, ..AskedField::default() },
            price: field("price", "price_before")?,
            section: field("section_name", "section_before")?,
            row: field("row_name", "row_before")?,
            number: field("number", "number_before")?,
            grade: field("grade", "grade_before")?,
        })
    }

    /// Whether something is wrong with one of them.
    pub(super) fn are_faulty(&self) -> bool {
        [&self.reason, &self.price, &self.section, &self.row, &self.number, &self.grade]
            .iter()
            .any(|field| field.fault.is_some())
    }
}

/// The notice above a form with faults in its fields.
pub(super) fn faulty(shell: &CockpitShell) -> FormNotice {
    FormNotice {
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: shell.t("seats-faulty"),
        text: String::new(),
        retry_after: None,
    }
}
