//! `/operator/second-factor`: the second factor of the account that is signed in.

use super::shell::CockpitShell;
use crate::{
    edge::{
        accounts,
        auth::{SessionSecret, SignedIn},
        form::{FormFields, FormVisitor},
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::{
        forms::{FormNotice, form_page, local_path, next_in},
        paths::SECOND_FACTOR,
        shell::HOME_ZONE,
    },
};
use askama::Template;
use axum::{
    Router,
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use frontrow_domain::{
    refusal::{EntityKind, Refusal},
    user::FactorSecret,
};
use frontrow_service::{
    second_factor::{FactorStanding, RecoveryCodes, key_in_groups, key_text},
    validate::Password,
};
use qrcode::{QrCode, render::svg};

/// The least width of the picture for the app's camera, in pixels.
const PICTURE_WIDTH: u32 = 240;

pub(super) fn routes() -> Router<SharedState> {
    Router::new()
        .route(SECOND_FACTOR, get(show))
        .route("/operator/second-factor/begin", get(to_page).post(begin))
        .route("/operator/second-factor/never", get(to_page).post(never))
        .route("/operator/second-factor/confirm", get(to_page).post(confirm))
        .route("/operator/second-factor/codes", get(to_page).post(renew))
        .route("/operator/second-factor/remove", get(to_page).post(remove))
}

/// From the address of a form, which a browser opens again when its page came back with a fault, to its page.
async fn to_page() -> Redirect {
    Redirect::to(SECOND_FACTOR)
}

/// What an authenticator app is given.
struct Enrolment {
    /// The address of a picture of the link, for the app's camera.
    picture: Option<String>,
    /// The link, for an app on the same device.
    link: String,
    /// The key, to be typed.
    key: String,
}

/// The part of the page for the state of the factor.
enum FactorView {
    /// There is none.
    Off {
        /// Whether the owner has said not to be asked.
        is_declined: bool,
    },
    /// The first code is to come.
    Pending(Enrolment),
    /// In force.
    On { since: String, recovery_left: usize },
    /// New recovery codes, shown this once.
    Codes(Vec<String>),
}

#[derive(Template)]
#[template(path = "cockpit/factor.html")]
struct FactorPage {
    shell: CockpitShell,
    notice: Option<FormNotice>,
    view: FactorView,
    /// The page to go on to, if the page was offered at a sign-in.
    next: Option<String>,
}

/// Percent-encodes all but unreserved characters: authenticator apps take no `+` for a space.
fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// The link that authenticator apps read: the shop, the account and the key.
fn app_link(brand: &str, email: &str, secret: FactorSecret) -> String {
    // A colon parts the two names.
    let (brand, email) = (encoded(&brand.replace(':', " ")), encoded(&email.replace(':', " ")));
    let key = key_text(secret);
    format!("otpauth://totp/{brand}:{email}?secret={key}&issuer={brand}&algorithm=SHA1&digits=6&period=30")
}

/// The link as a picture; none if it is too long for one.
fn picture(link: &str) -> Option<String> {
    let code = QrCode::new(link).ok()?;
    let picture = code
        .render::<svg::Color<'_>>()
        .min_dimensions(PICTURE_WIDTH, PICTURE_WIDTH)
        .dark_color(svg::Color("#000"))
        .light_color(svg::Color("#fff"))
        .build();
    Some(format!("data:image/svg+xml;base64,{}", STANDARD.encode(picture)))
}

/// A visit of the page by its owner.
struct FactorVisit {
    app: SharedState,
    shell: CockpitShell,
    owner: SignedIn,
    next: Option<String>,
}

impl FactorVisit {
    fn new(app: SharedState, shell: CockpitShell, next: Option<String>) -> HttpResult<Self> {
        let caller = shell.caller;
        let user_id = caller.user_id().ok_or(Refusal::Forbidden)?;
        Ok(Self { app, shell, owner: SignedIn { caller, user_id }, next })
    }

    fn of_form(app: SharedState, shell: CockpitShell, fields: &FormFields) -> HttpResult<Self> {
        let next = fields.given("next");
        let next = (!next.is_empty()).then(|| local_path(next).to_owned());
        Self::new(app, shell, next)
    }

    /// Back to the page, to be loaded again.
    fn back(&self) -> Response {
        let next = self.next.as_deref().map(|next| format!("?next={}", encoded(next))).unwrap_or_default();
        Redirect::to(&format!("{SECOND_FACTOR}{next}")).into_response()
    }

    async fn view(&self) -> HttpResult<FactorView> {
        let office = &self.app.office;
        Ok(match office.factor_standing(self.owner.user_id).await? {
            FactorStanding::Unset => FactorView::Off { is_declined: false },
            FactorStanding::Declined => FactorView::Off { is_declined: true },
            FactorStanding::Pending { secret } => {
                let user = office.user(self.owner.user_id).await?;
                let user = user.ok_or(Refusal::NotFound { what: EntityKind::User })?;
                let link = app_link(&self.shell.brand(), &user.email, secret);
                FactorView::Pending(Enrolment { picture: picture(&link), link, key: key_in_groups(secret) })
            }
            FactorStanding::On { since, recovery_left } => {
                FactorView::On { since: self.shell.moment(&since, HOME_ZONE), recovery_left }
            }
        })
    }

    async fn answer(self, notice: Option<FormNotice>) -> HttpResult<Response> {
        let view = self.view().await?;
        self.page(view, notice)
    }

    fn page(self, view: FactorView, notice: Option<FormNotice>) -> HttpResult<Response> {
        let page = FactorPage { shell: self.shell, notice, view, next: self.next };
        form_page(&page.shell, page.notice.as_ref(), &page)
    }

    /// The new codes, or the page again with what was refused.
    async fn codes(self, made: HttpResult<RecoveryCodes>) -> HttpResult<Response> {
        match made {
            Ok(RecoveryCodes(codes)) => self.page(FactorView::Codes(codes), None),
            Err(problem) => self.refused(problem).await,
        }
    }

    async fn refused(self, problem: Problem) -> HttpResult<Response> {
        let is_wrong_code = problem.code() == codes::SECOND_FACTOR_WRONG.code;
        let mut notice = if problem.code() == codes::WRONG_PASSWORD.code {
            FormNotice {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                title: self.shell.t("factor-wrong-password"),
                text: self.shell.t("factor-wrong-password-text"),
                retry_after: None,
            }
        } else {
            FormNotice::of(&self.shell, problem)?
        };
        let view = self.view().await?;
        // Recovery codes come with the first right code.
        if is_wrong_code && matches!(view, FactorView::Pending(_)) {
            notice.text = self.shell.t("factor-code-wrong-text");
        }
        self.page(view, Some(notice))
    }
}

async fn show(State(app): State<SharedState>, shell: CockpitShell, RawQuery(query): RawQuery) -> HttpResult<Response> {
    let next = next_in(query.as_deref(), "");
    FactorVisit::new(app, shell, (!next.is_empty()).then_some(next))?.answer(None).await
}

async fn begin(State(app): State<SharedState>, shell: CockpitShell, fields: FormFields) -> HttpResult<Response> {
    let visit = FactorVisit::of_form(app, shell, &fields)?;
    let SignedIn { caller, user_id } = visit.owner;
    match visit.app.office.enrol_factor(caller, user_id).await {
        Ok(()) => Ok(visit.back()),
        Err(stop) => visit.refused(stop.into()).await,
    }
}

async fn never(State(app): State<SharedState>, shell: CockpitShell, fields: FormFields) -> HttpResult<Response> {
    let visit = FactorVisit::of_form(app, shell, &fields)?;
    let SignedIn { caller, user_id } = visit.owner;
    match visit.app.office.decline_factor(caller, user_id).await {
        Ok(()) => Ok(Redirect::to(visit.next.as_deref().unwrap_or(SECOND_FACTOR)).into_response()),
        Err(stop) => visit.refused(stop.into()).await,
    }
}

async fn confirm(
    State(app): State<SharedState>,
    shell: CockpitShell,
    SessionSecret(secret): SessionSecret,
    FormVisitor(visitor): FormVisitor,
    fields: FormFields,
) -> HttpResult<Response> {
    let visit = FactorVisit::of_form(app, shell, &fields)?;
    let made = async {
        let password = Password::parse_given(fields.one("password")?.to_owned())?;
        let code = fields.one("code")?;
        accounts::confirm_factor(&visit.app, visitor?, visit.owner, &secret, (&password, code)).await
    };
    let made = made.await;
    visit.codes(made).await
}

async fn renew(
    State(app): State<SharedState>,
    shell: CockpitShell,
    FormVisitor(visitor): FormVisitor,
    fields: FormFields,
) -> HttpResult<Response> {
    let visit = FactorVisit::of_form(app, shell, &fields)?;
    let made = async {
        let code = fields.one("code")?;
        accounts::renew_recovery_codes(&visit.app, visitor?, visit.owner, code).await
    };
    let made = made.await;
    visit.codes(made).await
}

async fn remove(
    State(app): State<SharedState>,
    shell: CockpitShell,
    FormVisitor(visitor): FormVisitor,
    fields: FormFields,
) -> HttpResult<Response> {
    let visit = FactorVisit::of_form(app, shell, &fields)?;
    let removed = async {
        let code = fields.one("code")?;
        accounts::remove_factor(&visit.app, visitor?, visit.owner, code).await
    };
    match removed.await {
        Ok(()) => Ok(visit.back()),
        Err(problem) => visit.refused(problem).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_for_an_app_names_the_shop_and_the_account_and_fits_into_a_picture() {
        let secret = FactorSecret(*b"12345678901234567890");
        let link = app_link("Front: Row", "민지+ops@example.com", secret);
        assert_eq!(
            link,
            "otpauth://totp/Front%20%20Row:%EB%AF%BC%EC%A7%80%2Bops%40example.com\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Front%20%20Row&algorithm=SHA1&digits=6&period=30"
        );
        assert!(picture(&link).unwrap().starts_with("data:image/svg+xml;base64,"));
        assert!(picture(&"a".repeat(10_000)).is_none());
    }
}
