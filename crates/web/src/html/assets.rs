//! The files of the pages, in the program. They are served under a hash of all of them, so that a browser keeps them for
//! good, their imports of each other stay relative, and an upgrade is one reload.

use crate::edge::{
    kept::{Document, Fresh},
    problem::{HttpResult, Problem, codes},
    state::SharedState,
};
use crate::html::theme::{LogoFormat, Theme};
use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::Response,
    routing::get,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";
/// The shop's own style, if it has one.
pub(crate) const THEME_STYLE: &str = "theme.css";

/// Charts have a crate of their own.
const CHARTS: [(&str, &str, &str); 3] = [
    ("chart/chart.css", CSS, frontrow_charts::STYLE),
    ("chart/chart.js", SCRIPT, frontrow_charts::SCRIPT),
    ("chart/model.js", SCRIPT, frontrow_charts::MODEL),
];

macro_rules! files {
    ($($path:literal $media_type:ident),+ $(,)?) => {
        [$(($path, $media_type, include_bytes!(concat!("../../assets/", $path)) as &'static [u8])),+]
    };
}

/// The files of the pages.
#[derive(Debug)]
pub(crate) struct Assets {
    hash: String,
    files: BTreeMap<&'static str, Document>,
}

impl Assets {
    /// The files in the program, and those of the shop.
    pub(crate) fn new(theme: &Theme) -> Self {
        let files = files![
            "concerts.css" CSS,
            "cockpit/cockpit.css" CSS,
            "cockpit/codes.js" SCRIPT,
            "cockpit/desk/desk.css" CSS,
            "cockpit/desk/feed.js" SCRIPT,
            "cockpit/desk/form.js" SCRIPT,
            "cockpit/desk/main.js" SCRIPT,
            "cockpit/desk/view.js" SCRIPT,
            "cockpit/ready.css" CSS,
            "cockpit/ready.js" SCRIPT,
            "cockpit/orders.css" CSS,
            "cockpit/rehearsal.js" SCRIPT,
            "cockpit/seats/main.js" SCRIPT,
            "cockpit/seats/seats.css" CSS,
            "cockpit/seats/selection.js" SCRIPT,
            "cockpit/concerts.css" CSS,
            "countdown.js" SCRIPT,
            "icon.svg" SVG,
            "look.css" CSS,
            "tray.js" SCRIPT,
            "words.js" SCRIPT,
            "draw/check.js" SCRIPT,
            "draw/draw.css" CSS,
            "draw/main.js" SCRIPT,
            "hall/hall.css" CSS,
            "hall/draw.js" SCRIPT,
            "hall/layout.js" SCRIPT,
            "hall/list.js" SCRIPT,
            "hall/live.js" SCRIPT,
            "hall/main.js" SCRIPT,
            "hall/names.js" SCRIPT,
            "hall/pick.js" SCRIPT,
            "hall/place.js" SCRIPT,
            "hall/plan.js" SCRIPT,
            "hall/rove.js" SCRIPT,
            "hall/shown.js" SCRIPT,
            "hall/stamps.js" SCRIPT,
            "hall/tabs.js" SCRIPT,
            "hall/turn.js" SCRIPT,
            "hall/view.js" SCRIPT,
            "line/alarm.js" SCRIPT,
            "line/line.css" CSS,
            "line/live.js" SCRIPT,
            "line/main.js" SCRIPT,
            "line/sale.js" SCRIPT,
            "line/words.js" SCRIPT,
            "live/away.js" SCRIPT,
            "live/source.js" SCRIPT,
            "pay.css" CSS,
            "work/main.js" SCRIPT,
            "work/solve.js" SCRIPT,
        ];
        let mut files: BTreeMap<_, _> =
            files.into_iter().map(|(path, media_type, body)| (path, Document::new(media_type, body))).collect();
        for (path, media_type, text) in CHARTS {
            files.insert(path, Document::new(media_type, text.as_bytes()));
        }
        if let Some(style) = &theme.style {
            files.insert(THEME_STYLE, Document::new(CSS, style.clone()));
        }
        if let Some(logo) = &theme.logo {
            let media_type = match logo.format {
                LogoFormat::Svg => SVG,
                LogoFormat::Png => PNG,
            };
            files.insert(logo.format.path(), Document::new(media_type, logo.body.clone()));
        }
        let mut hash = Sha256::new();
        for (path, document) in &files {
            hash.update(path.len().to_be_bytes());
            hash.update(path);
            hash.update(document.body().len().to_be_bytes());
            hash.update(document.body());
        }
        let hash = URL_SAFE_NO_PAD.encode(hash.finalize().get(..9).unwrap_or_default());
        Self { hash, files }
    }

    /// The address of a file.
    pub(crate) fn address(&self, path: &str) -> String {
        debug_assert!(self.files.contains_key(path), "there is no file {path}");
        format!("/assets/{}/{path}", self.hash)
    }
}

/// The routes of the files.
pub(crate) fn routes() -> Router<SharedState> {
    Router::new().route("/assets/{hash}/{*path}", get(file)).route("/favicon.ico", get(icon))
}

/// A file. Under the hash of another version it is this version's, and is not kept: a page of an instance before an
/// upgrade may ask one after it.
async fn file(
    State(app): State<SharedState>,
    Path((hash, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let assets = &app.pages.0.assets;
    let document = assets.files.get(path.as_str()).ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    Ok(safe(document.answer(&headers, if hash == assets.hash { Fresh::ForGood } else { Fresh::Never })))
}

async fn icon(State(app): State<SharedState>, headers: HeaderMap) -> HttpResult<Response> {
    let icon = app.pages.0.assets.files.get("icon.svg").ok_or_else(|| Problem::new(&codes::NOT_FOUND))?;
    Ok(safe(icon.answer(&headers, Fresh::Never)))
}

/// A picture that is opened by itself may load nothing.
fn safe(mut response: Response) -> Response {
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path as FilePath;

    fn count(folder: &FilePath) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
    }

    #[test]
    fn every_file_of_the_folder_is_in_the_program() {
        let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        assert_eq!(Assets::new(&Theme::default()).files.len(), count(&folder) + CHARTS.len());
    }
}
