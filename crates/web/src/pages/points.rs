//! Points: the balance, its history, and topping it up.

use crate::{
    edge::{
        auth::SignedIn,
        extract::QueryParams,
        form::FormFields,
        problem::{HttpResult, Problem, codes},
        reply::{List, PageQuery, next_page, page},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, KEY_FIELD, form_page, fresh_key, key_of, local_path, next_in},
        shell::{HOME_ZONE, Shell, html},
    },
};
use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use frontrow_domain::{
    id::{HistoryId, PaymentId},
    money::Money,
    points::{PointEntry, PointKind},
    policy::{Policy, TopUpPolicy},
    refusal::Refusal,
};

/// Where a top-up goes on to if its form does not say.
const AFTER: &str = "/mine/points";

/// The routes of points.
pub(super) fn routes() -> Router<SharedState> {
    Router::new().route("/mine/points", get(history)).route("/points/top-up", get(ask_to_top_up).post(top_up))
}

/// The form that tops up the visitor's own account, wherever it stands.
#[derive(Debug)]
pub(super) struct TopUpForm {
    /// Whether users may top up; else the box office does it.
    pub(super) is_open: bool,
    pub(super) min: Money,
    pub(super) max: Money,
    /// What stands in the field.
    pub(super) amount: String,
    /// Whether more is missing than one top-up may add.
    pub(super) is_part: bool,
    /// Why the field is wrong.
    pub(super) fault: Option<String>,
    /// Where to go on to.
    pub(super) next: String,
    pub(super) key: String,
}

impl TopUpForm {
    /// An empty form, or one that suggests what is missing.
    pub(super) fn new(policy: &Policy, missing: Option<Money>, next: &str) -> Self {
        let in_bounds = |amount: Money| amount.max(policy.top_up_min).min(policy.top_up_max);
        let amount = missing.map(|amount| in_bounds(amount).to_string()).unwrap_or_default();
        Self {
            is_part: missing.is_some_and(|amount| amount > policy.top_up_max),
            is_open: policy.top_up_policy == TopUpPolicy::Open,
            min: policy.top_up_min,
            max: policy.top_up_max,
            amount,
            fault: None,
            next: next.to_owned(),
            key: fresh_key(),
        }
    }
}

/// An amount as people type it: `50000`, `50,000`, `₩50,000`, `50,000원`; none if it is none.
fn amount_of(text: &str) -> Option<Money> {
    let text = text.trim().trim_start_matches('₩').trim_end_matches('원');
    let plain: String = text.chars().filter(|letter| !matches!(letter, ',' | ' ' | '\u{a0}')).collect();
    let is_whole = !plain.is_empty() && plain.len() <= 13 && plain.bytes().all(|byte| byte.is_ascii_digit());
    plain.parse().ok().filter(|_| is_whole).map(Money::new)
}

/// A movement of points.
#[derive(Debug)]
struct PointLine {
    what: String,
    /// What an operator wrote.
    note: Option<String>,
    payment_id: Option<PaymentId>,
    amount: String,
    is_gain: bool,
    balance_after: Money,
    at: String,
}

impl PointLine {
    fn of(shell: &Shell, entry: PointEntry) -> Self {
        let what = match entry.kind {
            PointKind::TopUp => shell.t("points-top-up"),
            PointKind::Use => shell.t("points-use"),
            PointKind::Refund => shell.t("points-refund"),
            PointKind::Adjustment => shell.t("points-adjustment"),
        };
        let is_gain = entry.amount > Money::ZERO;
        let amount = shell.money(&entry.amount);
        Self {
            what,
            note: (entry.kind == PointKind::Adjustment).then_some(entry.description),
            payment_id: entry.payment_id,
            amount: if is_gain { format!("+{amount}") } else { amount },
            is_gain,
            balance_after: entry.balance_after,
            at: shell.moment(&entry.created_at, HOME_ZONE),
        }
    }
}

#[derive(Template)]
#[template(path = "mine/points.html")]
struct PointsPage {
    shell: Shell,
    balance: Money,
    lines: Vec<PointLine>,
    next_cursor: Option<String>,
    is_first: bool,
    top_up: TopUpForm,
}

async fn history(
    State(app): State<SharedState>,
    shell: Shell,
    SignedIn { user_id, .. }: SignedIn,
    QueryParams(query): QueryParams<PageQuery<HistoryId>>,
) -> HttpResult<Response> {
    let page = page(query.limit, query.cursor);
    let balance = app.office.balance_of(user_id).await?;
    let rows = app.office.history(user_id, page).await?;
    let List { items, next_cursor } = next_page(rows, &page, |row| row.history_id);
    let page = PointsPage {
        balance,
        lines: items.into_iter().map(|entry| PointLine::of(&shell, entry)).collect(),
        next_cursor,
        is_first: page.after.is_none(),
        top_up: TopUpForm::new(app.office.policy(), None, AFTER),
        shell,
    };
    html(&page.shell, StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "mine/top_up.html")]
struct TopUpPage {
    shell: Shell,
    notice: Option<FormNotice>,
    balance: Money,
    top_up: TopUpForm,
}

async fn ask_to_top_up(
    State(app): State<SharedState>,
    shell: Shell,
    SignedIn { user_id, .. }: SignedIn,
    RawQuery(query): RawQuery,
) -> HttpResult<Response> {
    let next = next_in(query.as_deref(), AFTER);
    let balance = app.office.balance_of(user_id).await?;
    let page = TopUpPage { notice: None, balance, top_up: TopUpForm::new(app.office.policy(), None, &next), shell };
    html(&page.shell, StatusCode::OK, &page)
}

async fn try_to_top_up(
    app: &SharedState,
    SignedIn { caller, user_id }: SignedIn,
    fields: &FormFields,
) -> HttpResult<()> {
    let bad = || Problem::invalid_field("amount", "is a whole number");
    let amount = amount_of(fields.one("amount")?).ok_or_else(bad)?;
    let key = key_of(fields)?.bind(caller, &Method::POST, "/points/top-up", &[], &amount)?;
    app.office.top_up(caller, user_id, amount, None, key).await?;
    Ok(())
}

async fn top_up(
    State(app): State<SharedState>,
    shell: Shell,
    signed_in: SignedIn,
    fields: FormFields,
) -> HttpResult<Response> {
    let next = match fields.given("next") {
        "" => AFTER,
        next => local_path(next),
    };
    let Err(problem) = try_to_top_up(&app, signed_in, &fields).await else {
        return Ok(Redirect::to(next).into_response());
    };
    let policy = app.office.policy();
    let is_amount = problem.code() == codes::INVALID_FIELD.code && fields.one(KEY_FIELD).is_ok();
    let fault = match problem.refusal() {
        Some(Refusal::AmountOutOfBounds { min, max }) => {
            Some(shell.t2("points-bounds", "min", shell.money(min), "max", shell.money(max)))
        }
        Some(Refusal::BalanceTooLarge { max }) => Some(shell.t1("points-too-much", "max", shell.money(max))),
        None if is_amount => Some(shell.t2(
            "points-bounds",
            "min",
            shell.money(&policy.top_up_min),
            "max",
            shell.money(&policy.top_up_max),
        )),
        _ => None,
    };
    let notice = FormNotice::of(&shell, problem)?;
    let balance = app.office.balance_of(signed_in.user_id).await?;
    let form = TopUpForm {
        amount: fields.given("amount").chars().take(40).collect(),
        fault,
        ..TopUpForm::new(policy, None, next)
    };
    let page = TopUpPage { notice: Some(notice), balance, top_up: form, shell };
    form_page(&page.shell, page.notice.as_ref(), &page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_as_people_type_it() {
        for (text, amount) in [
            ("50000", Some(50_000)),
            (" 50,000 ", Some(50_000)),
            ("₩50,000", Some(50_000)),
            ("50,000원", Some(50_000)),
            ("50 000", Some(50_000)),
            ("0", Some(0)),
            ("9999999999999", Some(9_999_999_999_999)),
            ("", None),
            ("원", None),
            ("-1", None),
            ("1.5", None),
            ("1e9", None),
            ("오만", None),
            ("５０００", None),
            ("99999999999999", None),
        ] {
            assert_eq!(amount_of(text), amount.map(Money::new), "{text}");
        }
    }
}
