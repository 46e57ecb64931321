//! Changes chosen seats: all of a part or none, and the parts of a large choice one after the other.

use super::{
    SeatsVisit,
    ask::{AskedAgain, AskedField, AskedFields, SeatAct, faulty},
    choice::{self, SeatChoice},
};
use crate::{
    cockpit::shell::CockpitShell,
    edge::{
        auth::OperatorOnly, extract::PathId, form::LargeForm, idempotency::IdempotencyKey, problem::HttpResult,
        state::SharedState,
    },
    html::forms::{FormNotice, fresh_key, key_of},
};
use axum::{
    extract::State,
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::{
    id::{ConcertId, SeatId},
    money::Money,
    policy::{SEATS_PER_OPERATOR_COMMAND_MAX, STATUS_REASON_LEN_MAX},
    refusal::Refusal,
    sale::{SeatAction, SeatChange},
    text::{InvalidField, checked_label, checked_text},
};
use frontrow_service::{
    drafts::{LABEL_LEN_MAX, checked_number},
    office::ServiceError,
    sale::{HallView, SeatingOrder},
};

/// What becomes of the seats, ready for commands.
#[derive(Debug, Clone)]
enum CheckedAct {
    Set(SeatAction),
    Change(SeatChange, Option<String>),
    Remove(Option<String>),
}

/// Does what was asked.
pub(super) async fn set(
    State(app): State<SharedState>,
    _: OperatorOnly,
    shell: CockpitShell,
    PathId(concert_id): PathId<ConcertId>,
    form: LargeForm,
) -> HttpResult<Response> {
    let visit = SeatsVisit::changing(shell, app, concert_id)?;
    let fields = &form.fields;
    let act = SeatAct::of(fields)?.ok_or_else(|| InvalidField::new("act", "is not what a page sends"))?;
    let view = visit.hall().await?;
    // Only ids: a reload must not choose what has come into a row meanwhile.
    let choice = SeatChoice::of_text(fields.one("seats")?, &view.seats.order)?;
    let key = key_of(fields)?;
    let mut asked = AskedFields::of_form(fields)?;
    let checked = check(&visit.shell, act, &mut asked);
    let again = |notice: Option<FormNotice>, key: String| AskedAgain { notice, fields: asked.clone(), key };
    let Some(checked) = checked else {
        let notice = faulty(&visit.shell);
        return visit.asked(&view, act, &choice, Some(again(Some(notice), fresh_key()))).await;
    };
    // A removal that is sent again names seats that are gone: its key finds the answer.
    let Some(named) = choice.all_named().filter(|named| !named.is_empty()) else {
        let notice = visit.gone_notice();
        return visit.asked(&view, act, &choice, Some(again(Some(notice), fresh_key()))).await;
    };
    let count = named.len();
    let mut done = 0;
    for (part, seats) in named.chunks(SEATS_PER_OPERATOR_COMMAND_MAX).enumerate() {
        match visit.set_part(&checked, (act, part), seats, &key).await {
            Ok(()) => done += seats.len(),
            Err(ServiceError::Refused(Refusal::ReasonNeeded) | ServiceError::RefusedBefore(Refusal::ReasonNeeded)) => {
                asked.reason.fault = Some(visit.shell.t1("seats-fault-reason", "max", STATUS_REASON_LEN_MAX));
                let notice = visit.refused(&view, Refusal::ReasonNeeded, done)?;
                let again = AskedAgain { notice: Some(notice), fields: asked, key: fresh_key() };
                return visit.asked(&view, act, &choice, Some(again)).await;
            }
            Err(ServiceError::Refused(refusal) | ServiceError::RefusedBefore(refusal)) => {
                let notice = visit.refused(&view, refusal, done)?;
                // What was sold meanwhile is named, and left out of the form that comes back.
                let fresh = visit.hall().await?;
                return visit.asked(&fresh, act, &choice, Some(again(Some(notice), fresh_key()))).await;
            }
            Err(stop) if done == 0 => return Err(stop.into()),
            Err(_) => {
                // What is done may be done again: each act leads to the same seats.
                let notice = FormNotice {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    title: visit.shell.t2("seats-part-done", "done", done, "count", count),
                    text: visit.shell.t("seats-part-done-text"),
                    retry_after: None,
                };
                let fresh = visit.hall().await?;
                return visit.asked(&fresh, act, &choice, Some(again(Some(notice), fresh_key()))).await;
            }
        }
    }
    Ok(Redirect::to(&format!("{}?did={}&count={count}#did", visit.path(), act.name())).into_response())
}

impl SeatsVisit {
    async fn set_part(
        &self,
        checked: &CheckedAct,
        (act, part): (SeatAct, usize),
        seats: &[SeatId],
        key: &IdempotencyKey,
    ) -> Result<(), ServiceError> {
        let (office, caller) = (&self.app.office, self.shell.caller);
        let route = format!("/operator/concerts/{{id}}/seats/set/{part}");
        let body = (act.name(), choice::text_of(seats), checked.said());
        let key = key
            .bind(caller, &Method::POST, &route, &[&self.concert_id], &body)
            .map_err(|_| ServiceError::Internal("a form's key cannot be bound"))?;
        let seats = seats.to_vec();
        match checked.clone() {
            CheckedAct::Set(action) => {
                _ = office.set_seats(caller, (Some(self.concert_id), seats), action, key).await?;
            }
            CheckedAct::Change(change, reason) => {
                _ = office.change_seats(caller, (self.concert_id, seats), (change, reason), key).await?;
            }
            CheckedAct::Remove(reason) => {
                _ = office.remove_seats(caller, (self.concert_id, seats), reason, key).await?;
            }
        }
        Ok(())
    }

    /// Why nothing becomes of seats that the hall does not have.
    pub(super) fn gone_notice(&self) -> FormNotice {
        FormNotice {
            status: StatusCode::CONFLICT,
            title: self.shell.t("seats-gone-title"),
            text: self.shell.t("seats-nothing-done"),
            retry_after: None,
        }
    }

    /// Why the seats were not changed, with the seat that stopped it.
    fn refused(&self, view: &HallView, refusal: Refusal, done: usize) -> HttpResult<FormNotice> {
        let order = &view.seats.order;
        let title = match &refusal {
            Refusal::SeatInUse { seat_id } => {
                self.shell.t1("seats-refused-in-use", "place", self.place(order, *seat_id))
            }
            Refusal::SeatHasHistory { seat_id } => {
                self.shell.t1("seats-refused-history", "place", self.place(order, *seat_id))
            }
            Refusal::SeatNumberTaken { section, row, number } => {
                self.shell.t1("seats-refused-taken", "place", self.words.place(section, row, number))
            }
            Refusal::NotFound { .. } => self.shell.t("seats-gone-title"),
            _ => return FormNotice::of(&self.shell, refusal.into()),
        };
        let text =
            if done == 0 { self.shell.t("seats-nothing-done") } else { self.shell.t1("seats-some-done", "done", done) };
        Ok(FormNotice { status: StatusCode::CONFLICT, title, text, retry_after: None })
    }

    fn place(&self, order: &SeatingOrder, seat: SeatId) -> String {
        let label = order.seat_of(seat).map(|seat| &seat.label);
        label.map_or_else(|| seat.to_string(), |label| self.words.place(&label.section, &label.row, &label.number))
    }
}

impl CheckedAct {
    /// What a key is bound to beside the seats.
    fn said(&self) -> String {
        match self {
            Self::Set(SeatAction::Block { reason }) => reason.clone(),
            Self::Change(change, reason) => serde_json::to_string(&(change, reason)).unwrap_or_default(),
            Self::Set(SeatAction::Free { reason }) | Self::Remove(reason) => reason.clone().unwrap_or_default(),
        }
    }
}

/// What the fields say; none if one of them is wrong, which then says so.
fn check(shell: &CockpitShell, act: SeatAct, fields: &mut AskedFields) -> Option<CheckedAct> {
    let checked = match act {
        SeatAct::Block => {
            let reason = reason(shell, &mut fields.reason)?;
            CheckedAct::Set(SeatAction::Block { reason })
        }
        SeatAct::Free => CheckedAct::Set(SeatAction::Free { reason: reason_if_given(shell, &mut fields.reason) }),
        SeatAct::Remove => CheckedAct::Remove(reason_if_given(shell, &mut fields.reason)),
        SeatAct::Change => {
            let label = |text: &str| checked_label("label", text, LABEL_LEN_MAX).ok();
            let fault = || shell.t1("seats-fault-label", "max", LABEL_LEN_MAX);
            let change = SeatChange {
                price: changed(&mut fields.price, price, || shell.t("seats-fault-price")),
                section: changed(&mut fields.section, label, fault),
                row: changed(&mut fields.row, label, fault),
                number: changed(
                    &mut fields.number,
                    |text| checked_number("number", text).ok(),
                    || shell.t1("seats-fault-number", "max", LABEL_LEN_MAX),
                ),
                grade: changed(&mut fields.grade, label, fault),
            };
            if !fields.are_faulty() && change == SeatChange::default() {
                fields.price.fault = Some(shell.t("seats-fault-nothing"));
            }
            CheckedAct::Change(change, reason_if_given(shell, &mut fields.reason))
        }
    };
    (!fields.are_faulty()).then_some(checked)
}

/// The reason; none, with its fault, if it is none.
fn reason(shell: &CockpitShell, field: &mut AskedField) -> Option<String> {
    let reason = checked_text("reason", field.value.trim(), STATUS_REASON_LEN_MAX).ok();
    if reason.is_none() {
        field.fault = Some(shell.t1("seats-fault-reason", "max", STATUS_REASON_LEN_MAX));
    }
    reason
}

/// The same for an act that needs one at some times only.
fn reason_if_given(shell: &CockpitShell, field: &mut AskedField) -> Option<String> {
    if field.value.trim().is_empty() { None } else { reason(shell, field) }
}

/// The new value of a field, if it is not the one that was shown.
fn changed<T>(field: &mut AskedField, read: impl Fn(&str) -> Option<T>, fault: impl Fn() -> String) -> Option<T> {
    if field.value.trim() == field.before.trim() {
        return None;
    }
    let value = read(&field.value);
    if value.is_none() {
        field.fault = Some(fault());
    }
    value
}

/// A price as people type it: `120,000`.
pub(super) fn price(text: &str) -> Option<Money> {
    let digits: String = text.trim().chars().filter(|letter| *letter != ',').collect();
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let won = digits.parse::<i64>().ok().filter(|won| is_plain && *won <= Money::MAX.get())?;
    Some(Money::new(won))
}
