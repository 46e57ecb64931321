//! A concert's own page, and its entry for a calendar.

mod calendar;
mod event;

use crate::{
    edge::{
        auth::ClientAddress,
        base_url::BaseUrl,
        extract::PathId,
        problem::{HttpResult, Problem},
        state::SharedState,
    },
    html::{
        figures,
        grade_looks::styles_of,
        paths,
        sale_words::{SaleWords, lanes_beside, next_step},
        shared::{HTML, SharedRequest, text_of},
        shell::Shell,
    },
    pages::{
        refund_time::refund_words,
        season::{PosterView, hue, price_of},
    },
};
use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use frontrow_domain::{
    id::{ConcertId, RoomId},
    line::DrawPhase,
    sale::{AgeRating, Concert, ConcertDetails},
    time::{Span, Time},
};
use frontrow_service::sale::{ConcertGrade, ConcertOnSale, ConcertView, HallOverview, HallSection, SaleState};

/// How many sections of a hall the page lists; the plan of the hall shows all.
const SECTIONS_MAX: usize = 100;
/// How many characters of a description a shared link shows.
const SUMMARY_LEN_MAX: usize = 200;

/// A fact about a concert, and its name.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) name: String,
    pub(super) text: String,
}

/// A grade with its price and what is left of it.
#[derive(Debug)]
struct GradeView {
    name: String,
    mark: String,
    look: &'static str,
    price: String,
    left: String,
    is_gone: bool,
}

/// A section of the hall: what is left of each grade in it.
#[derive(Debug)]
struct SectionView {
    name: String,
    cells: Vec<Option<(i64, i64)>>,
}

/// What the countdown counts to.
#[derive(Debug)]
struct Countdown {
    /// In milliseconds, as scripts have it.
    opens: i64,
    /// The moment in words, for a page without a script.
    moment: String,
}

#[derive(Template)]
#[template(path = "concert.html")]
struct ConcertPage<'a> {
    shell: &'a Shell,
    base: &'a BaseUrl,
    path: String,
    /// The concert in the cockpit, if the page was opened from there.
    cockpit: Option<String>,
    title: &'a str,
    when: String,
    starts_at: Time,
    venue: &'a str,
    hue: i64,
    poster: Option<PosterView>,
    sale: SaleWords,
    /// Why it is so, from the organiser.
    reason: Option<&'a str>,
    /// What a buyer can do about it.
    next_step: String,
    countdown: Option<Countdown>,
    /// Where the draw of its lobby is explained, while the lobby is open.
    draw: Option<String>,
    /// What became of its line, once that is over.
    report: Option<String>,
    may_join: bool,
    /// What lanes there are beside its line, while tokens may come.
    lanes: Option<String>,
    facts: Vec<Fact>,
    paragraphs: Vec<Vec<&'a str>>,
    grades: Vec<GradeView>,
    sections: Vec<SectionView>,
    has_more_sections: bool,
    rules: Vec<String>,
    organiser: Option<&'a str>,
    organiser_contact: Option<&'a str>,
    summary: String,
    /// JSON that ends no script.
    event: String,
}

fn age(shell: &Shell, rating: AgeRating) -> String {
    match rating {
        AgeRating::All => shell.t("age-all"),
        AgeRating::From7 => shell.t1("age-from", "age", 7_i64),
        AgeRating::From12 => shell.t1("age-from", "age", 12_i64),
        AgeRating::From15 => shell.t1("age-from", "age", 15_i64),
        AgeRating::From19 => shell.t1("age-from", "age", 19_i64),
    }
}

fn minutes(minutes: i32) -> Span {
    Span::from_secs(60 * i64::from(minutes))
}

pub(super) fn facts(shell: &Shell, concert: &Concert, details: &ConcertDetails) -> Vec<Fact> {
    let zone = concert.time_zone.as_str();
    let hour = |at: Time| figures::hour(shell.language, &figures::local(at, zone));
    let mut facts = vec![
        Fact { name: shell.t("fact-when"), text: shell.moment(&concert.starts_at, zone) },
        Fact { name: shell.t("fact-venue"), text: concert.venue.clone() },
        Fact { name: shell.t("fact-artist"), text: concert.artist.clone() },
    ];
    let mut add = |name: &str, text: Option<String>| {
        facts.extend(text.map(|text| Fact { name: shell.t(name), text }));
    };
    add("fact-address", details.address.clone());
    add("fact-doors", concert.doors_at(details).map(hour));
    let running = |length: i32| shell.t1("running", "length", shell.length(minutes(length)));
    add("fact-running", details.running_minutes.map(running));
    add("fact-age", details.age_rating.map(|rating| age(shell, rating)));
    facts
}

fn grade(shell: &Shell, grade: &ConcertGrade, look: &'static str, state: SaleState) -> GradeView {
    let left = match state {
        SaleState::OnSale { .. } | SaleState::FewLeft { .. } | SaleState::AllHeld | SaleState::SoldOut => {
            match (grade.left, grade.held) {
                (1.., _) => shell.t1("grade-left", "left", grade.left),
                (_, 1..) => shell.t("grade-none-free"),
                _ => shell.t("grade-none-left"),
            }
        }
        SaleState::Opens { .. } => shell.t1("grade-seats", "seats", grade.seats),
        SaleState::NoSeats | SaleState::Closed | SaleState::Postponed | SaleState::Cancelled | SaleState::Over => {
            String::new()
        }
    };
    GradeView {
        name: if grade.name.is_empty() { shell.t("grade-any") } else { grade.name.clone() },
        mark: grade.mark.clone(),
        look,
        price: price_of(shell, grade.lowest, grade.highest),
        left,
        is_gone: state.is_on_sale() && grade.left == 0,
    }
}

/// A section with a cell for each of these grades.
fn section(shell: &Shell, section: &HallSection, grades: &[ConcertGrade]) -> SectionView {
    let cell = |grade: &ConcertGrade| {
        let found = section.grades.iter().find(|cell| cell.place == grade.place);
        found.map(|cell| (cell.left, cell.seats))
    };
    let name = if section.name.is_empty() { shell.t("hall-whole") } else { section.name.clone() };
    SectionView { name, cells: grades.iter().map(cell).collect() }
}

/// What a buyer must know before the purchase.
fn rules(shell: &Shell, view: &ConcertView) -> Vec<String> {
    let concert = &view.shown.on_sale.concert;
    vec![
        shell.t1("rule-seats", "seats", i64::from(view.seats_max)),
        shell.t1("rule-hold", "length", shell.length(view.hold)),
        shell.t("rule-fee"),
        refund_words(shell, view.refund_time, &concert.time_zone),
    ]
}

fn paragraphs(description: Option<&str>) -> Vec<Vec<&str>> {
    let paragraphs = description.unwrap_or_default().split("\n\n").filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(|paragraph| paragraph.lines().collect()).collect()
}

/// The beginning of the description, or when and where.
fn summary(when: &str, concert: &Concert, description: Option<&str>) -> String {
    let Some(text) = description else { return format!("{when} · {}", concert.venue) };
    let mut words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = words.char_indices().nth(SUMMARY_LEN_MAX) {
        words.truncate(end);
        words.push('…');
    }
    words
}

/// Where the draw of a concert's lobby is explained; none unless its lobby is open.
async fn open_draw(app: &SharedState, on_sale: &ConcertOnSale) -> Option<String> {
    let Concert { concert_id, room_id, .. } = on_sale.concert;
    if room_id == RoomId::HOUSE || !matches!(on_sale.state, SaleState::Opens { .. }) {
        return None;
    }
    // The page is shown without it if the line cannot be read.
    let line = app.office.room(room_id).await.ok()?;
    (line.room.draw == DrawPhase::Lobby).then(|| paths::draw(concert_id))
}

/// Where what became of a concert's line is said; none unless the line is over.
async fn report_of(app: &SharedState, on_sale: &ConcertOnSale) -> Option<String> {
    let Concert { concert_id, room_id, .. } = on_sale.concert;
    let has_report = app.office.has_line_report(room_id).await.unwrap_or_else(|error| {
        tracing::debug!(%error, concert = %concert_id, "a page is shown without its report");
        false
    });
    has_report.then(|| paths::line_report(concert_id))
}

/// What lanes there are beside a concert's line; none once no token can come.
fn lanes_of(app: &SharedState, shell: &Shell, on_sale: &ConcertOnSale) -> Option<String> {
    let may_come = on_sale.state.may_join() || matches!(on_sale.state, SaleState::Opens { .. });
    may_come.then(|| lanes_beside(shell, &app.office.lanes_beside(on_sale.concert.room_id))).flatten()
}

/// What a concert's page says beside the concert.
struct BesideConcert {
    /// The concert in the cockpit, for those who come from there.
    cockpit: Option<String>,
    /// The draw of its lobby, while that is open.
    draw: Option<String>,
    /// The report of its line, once that is over.
    report: Option<String>,
    /// The lanes beside its line, in a sentence.
    lanes: Option<String>,
}

/// The page.
fn page(shell: &Shell, base: &BaseUrl, view: &ConcertView, beside: BesideConcert) -> HttpResult<String> {
    let on_sale = &view.shown.on_sale;
    let (concert, profile) = (&on_sale.concert, &view.shown.profile);
    let details = &profile.details;
    let zone = concert.time_zone.as_str();
    let when = shell.moment(&concert.starts_at, zone);
    let path = paths::concert(concert.concert_id);
    let countdown = match on_sale.state {
        SaleState::Opens { at } => {
            Some(Countdown { opens: at.micros() / 1_000, moment: shell.exact_moment(&at, zone) })
        }
        _ => None,
    };
    let is_prepared = view.now < concert.opens_at && concert.is_being_made(view.now);
    let preparing = is_prepared.then(|| shell.t("concert-preparing"));
    let HallOverview { order, grades, sections, .. } = &*view.hall;
    let styles = styles_of(order);
    let look = |grade: &ConcertGrade| styles.get(grade.place).copied().unwrap_or_default();
    let sections: Vec<_> = sections.iter().filter(|section| !section.grades.is_empty()).collect();
    text_of(&ConcertPage {
        shell,
        base,
        title: &concert.title,
        starts_at: concert.starts_at,
        venue: &concert.venue,
        hue: hue(concert.concert_id),
        poster: PosterView::of(concert.concert_id, profile),
        sale: SaleWords::of(shell, on_sale.state, view.now, zone),
        reason: preparing.as_deref().or(concert.status_reason.as_deref()),
        next_step: next_step(shell, on_sale.state),
        countdown,
        draw: beside.draw,
        report: beside.report,
        may_join: on_sale.state.may_join(),
        lanes: beside.lanes,
        facts: facts(shell, concert, details),
        paragraphs: paragraphs(details.description.as_deref()),
        grades: grades.iter().map(|one| grade(shell, one, look(one), on_sale.state)).collect(),
        sections: sections.iter().take(SECTIONS_MAX).map(|one| section(shell, one, grades)).collect(),
        has_more_sections: sections.len() > SECTIONS_MAX,
        rules: rules(shell, view),
        organiser: details.organiser.as_deref(),
        organiser_contact: details.organiser_contact.as_deref(),
        summary: summary(&when, concert, details.description.as_deref()),
        event: event::json_ld(base, view).map_err(Problem::internal)?,
        when,
        path,
        cockpit: beside.cockpit,
    })
}

/// A concert. It is the same for all visitors of a language for a second.
pub(super) async fn concert(
    State(app): State<SharedState>,
    shell: Shell,
    base: BaseUrl,
    ClientAddress(client): ClientAddress,
    PathId(id): PathId<ConcertId>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> HttpResult<Response> {
    // The page only links the cockpit, which lets in operators and viewers alone.
    let for_operators = shell.is_signed_in() && query.as_deref() == Some(paths::FOR_OPERATORS);
    let shell = shell.at(if for_operators { paths::concert_for_operators(id) } else { paths::concert(id) });
    let request = SharedRequest { app: &app, shell: &shell, base: &base, headers: &headers, client };
    let render = async {
        let view = app.office.concert_view(id).await?;
        let beside = BesideConcert {
            cockpit: for_operators.then(|| format!("/operator/concerts/{id}")),
            draw: open_draw(&app, &view.shown.on_sale).await,
            report: report_of(&app, &view.shown.on_sale).await,
            lanes: lanes_of(&app, &shell, &view.shown.on_sale),
        };
        page(&shell, &base, &view, beside)
    };
    request.answer(HTML, render).await
}

/// The concert for a calendar.
pub(super) async fn calendar(
    State(app): State<SharedState>,
    shell: Shell,
    base: BaseUrl,
    ClientAddress(client): ClientAddress,
    PathId(id): PathId<ConcertId>,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let shell = shell.at(format!("{}/calendar.ics", paths::concert(id)));
    let request = SharedRequest { app: &app, shell: &shell, base: &base, headers: &headers, client };
    let render = async {
        let view = app.office.concert_view(id).await?;
        Ok(calendar::entry(&base, &view.shown.on_sale.concert, view.shown.profile.details.address.as_deref()))
    };
    let mut response = request.answer("text/calendar; charset=utf-8", render).await?;
    let name = format!("inline; filename=\"concert-{id}.ics\"");
    let name = HeaderValue::try_from(name).map_err(Problem::internal)?;
    response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(response)
}

/// The time of the box office in milliseconds: a countdown goes by it, and not by the clock of the visitor's machine.
pub(super) async fn clock(State(app): State<SharedState>) -> Response {
    (app.office.now().micros() / 1_000).to_string().into_response()
}

/// The concerts for search engines.
pub(super) async fn sitemap(
    State(app): State<SharedState>,
    shell: Shell,
    base: BaseUrl,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let shell = shell.at("/sitemap.xml".to_owned());
    let request = SharedRequest { app: &app, shell: &shell, base: &base, headers: &headers, client };
    let render = async {
        let season = app.office.season().await?;
        let mut xml = String::from(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
        );
        // Only ids, times and the checked host stand in it: nothing that XML would read as more.
        let mut add = |path: &str, changed: Option<Time>| {
            let changed = changed.map(|at| format!("<lastmod>{at}</lastmod>")).unwrap_or_default();
            let loc = base.link(path);
            xml.extend(["<url><loc>", &loc, "</loc>", &changed, "</url>\n"]);
        };
        add("/", None);
        for shown in &season.concerts {
            let Concert { concert_id, updated_at, .. } = &shown.on_sale.concert;
            add(&paths::concert(*concert_id), Some(*updated_at));
        }
        xml.push_str("</urlset>\n");
        Ok(xml)
    };
    request.answer("application/xml", render).await
}

/// What robots may read: the season and the concerts.
pub(super) async fn robots(base: BaseUrl) -> String {
    format!(
        "User-agent: *\nAllow: /$\nAllow: /concerts/\nAllow: /posters/\nAllow: /assets/\nDisallow: /\nSitemap: {}\n",
        base.link("/sitemap.xml")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_split_at_its_blank_lines() {
        assert_eq!(paragraphs(Some("One.\nTwo.\n\nThree.")), [vec!["One.", "Two."], vec!["Three."]]);
        assert!(paragraphs(None).is_empty());
    }
}
