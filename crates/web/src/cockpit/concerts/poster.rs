//! The poster of a concert: set, replaced, removed.

use super::{
    ConcertVisit, check_may_change,
    form::{StageFile, StagePage},
    path_of,
};
use crate::{
    cockpit::shell::CockpitShell,
    edge::{
        extract::PathId,
        form::LargeForm,
        posters,
        precondition::IfMatch,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::forms::{FormNotice, form_page},
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Redirect, Response},
};
use frontrow_domain::id::ConcertId;
use frontrow_service::{
    office::ServiceError,
    pictures::{PICTURE_LEN_MAX, PictureError, PictureFormat},
};

/// The field with the picture.
const FIELD: &str = "poster";

pub(super) fn path(concert: ConcertId) -> String {
    format!("{}/poster", path_of(concert))
}

impl ConcertVisit {
    fn poster_page(&self, notice: Option<FormNotice>) -> StagePage {
        let (shell, id) = (&self.shell, self.concert.concert_id);
        StagePage {
            title: shell.t("stage-poster"),
            back: (path_of(id), self.concert.title.clone()),
            steps: Vec::new(),
            lead: match self.poster {
                _ if shell.may_change() => vec![shell.t("stage-poster-lead")],
                Some(_) => Vec::new(),
                None => vec![shell.t("stage-poster-none")],
            },
            effects: Vec::new(),
            notice,
            stale: Vec::new(),
            groups: Vec::new(),
            hidden: vec![("basis", self.concert.updated_at.micros().to_string())],
            file: Some(StageFile {
                name: FIELD,
                label: shell.t("stage-poster-file"),
                present: self.poster.map(|mark| posters::path(id, mark.tag)),
            }),
            action: path(id),
            button: shell.t("stage-poster-button"),
            links: Vec::new(),
            shell: shell.clone(),
        }
    }
}

pub(super) async fn show(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
) -> HttpResult<Response> {
    let visit = ConcertVisit::of(shell, &app, id).await?;
    form_page(&visit.shell, None, &visit.poster_page(None))
}

pub(super) async fn send(
    State(app): State<SharedState>,
    shell: CockpitShell,
    PathId(id): PathId<ConcertId>,
    form: LargeForm,
) -> HttpResult<Response> {
    check_may_change(&shell)?;
    let visit = ConcertVisit::of(shell, &app, id).await?;
    let caller = visit.shell.caller;
    let basis = IfMatch::of_form(&form.fields)?.0;
    if form.fields.one_or_none("act")? == Some("remove") {
        return visit.poster_done(&app, app.office.remove_poster(caller, id, basis).await).await;
    }
    let picture = form.file(FIELD)?.map(|file| file.bytes.clone()).filter(|bytes| bytes.len() <= PICTURE_LEN_MAX);
    let picture = picture.and_then(|bytes| Some((PictureFormat::of_bytes(&bytes)?, bytes)));
    let drawn = match picture {
        Some((format, bytes)) => app.office.draw_poster(id, format, bytes).await,
        None => Err(PictureError::Unreadable),
    };
    match drawn {
        Ok(poster) => visit.poster_done(&app, app.office.set_poster(caller, poster, basis).await).await,
        Err(PictureError::Overloaded) => Err(Problem::overloaded().cause("several pictures are being decoded")),
        Err(PictureError::Unreadable | PictureError::TooManyPixels | PictureError::TooComplex) => {
            let notice = FormNotice {
                status: StatusCode::UNPROCESSABLE_ENTITY,
                title: visit.shell.t("stage-poster-refused"),
                text: visit.shell.t("stage-poster-refused-text"),
                retry_after: None,
            };
            let page = visit.poster_page(Some(notice));
            form_page(&page.shell, page.notice.as_ref(), &page)
        }
    }
}

impl ConcertVisit {
    /// On to the concert; or back to the form, with why not, for the present version.
    async fn poster_done(self, app: &SharedState, done: Result<(), ServiceError>) -> HttpResult<Response> {
        let id = self.concert.concert_id;
        let Err(error) = done else { return Ok(Redirect::to(&path_of(id)).into_response()) };
        let notice = FormNotice::of(&self.shell, error.into())?;
        let page = Self::of(self.shell, app, id).await?.poster_page(Some(notice));
        form_page(&page.shell, page.notice.as_ref(), &page)
    }
}
