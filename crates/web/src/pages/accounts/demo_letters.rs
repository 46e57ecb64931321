//! The letters of a demo, which sends no mail.

use crate::{
    edge::{
        language::Language,
        problem::{HttpResult, Problem, codes},
        state::SharedState,
    },
    html::shell::{HOME_ZONE, Shell, html},
};
use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};
use frontrow_domain::user::LinkKind;
use frontrow_service::letters::Letter;

/// A letter in its own language.
struct LetterView {
    lang: &'static str,
    to: String,
    subject: String,
    text: String,
    action: String,
    path: String,
    until: String,
}

impl LetterView {
    fn new(shell: &Shell, letter: Letter) -> Self {
        let mut shell = shell.clone();
        shell.language = Language::from(letter.language);
        let (subject, text, action) = match letter.kind {
            LinkKind::PasswordReset => {
                (shell.t("letter-reset"), shell.t("letter-reset-text"), shell.t("letter-reset-action"))
            }
            LinkKind::EmailConfirmation => {
                (shell.t("letter-confirm"), shell.t("letter-confirm-text"), shell.t("letter-confirm-action"))
            }
        };
        Self {
            lang: shell.lang(),
            to: letter.address,
            subject,
            text,
            action,
            path: letter.path,
            until: shell.t1("letter-until", "at", shell.moment(&letter.expires_at, HOME_ZONE)),
        }
    }
}

#[derive(Template)]
#[template(path = "accounts/demo_letters.html")]
struct DemoLettersPage {
    shell: Shell,
    letters: Vec<LetterView>,
}

/// The latest letters of a demo, newest first. Elsewhere there is no such page.
pub(super) async fn show(State(app): State<SharedState>, shell: Shell) -> HttpResult<Response> {
    let letters = app.office.demo_letters().ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    let letters = letters.into_iter().map(|letter| LetterView::new(&shell, letter)).collect();
    let page = DemoLettersPage { shell, letters };
    html(&page.shell, StatusCode::OK, &page)
}
