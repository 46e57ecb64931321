//! The season: the front page.

use crate::{
    edge::{auth::ClientAddress, base_url::BaseUrl, posters, problem::HttpResult, state::SharedState},
    html::{
        figures, paths,
        sale_words::SaleWords,
        shared::{HTML, SharedRequest, text_of},
        shell::Shell,
    },
};
use askama::Template;
use axum::{
    extract::{RawQuery, State},
    http::HeaderMap,
    response::Response,
};
use frontrow_domain::{id::ConcertId, money::Money, sale::Concert, text::folded, time::Time};
use frontrow_service::sale::{Season, ShownConcert};
use frontrow_storage::{ConcertProfile, GradePrices};
use jiff::civil::Date;
use std::collections::BTreeSet;

/// How many concerts a page shows.
const CARDS: usize = 24;
/// How many characters of a search count.
const SEARCH_LEN_MAX: usize = 100;
/// How many choices a filter offers.
const CHOICES_MAX: usize = 100;
/// How many bytes of a query are read: four fields of a few hundred bytes each.
const QUERY_LEN_MAX: usize = 4_096;

/// What a visitor looks for. Fields that the page does not know are passed over: links from elsewhere carry their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct SeasonFilter {
    /// Words in title, artist or venue.
    q: String,
    /// The month of the concert at its venue, as 2027-03.
    month: String,
    venue: String,
    /// Only what can be bought now.
    on_sale: bool,
    /// From 1.
    page: usize,
}

impl SeasonFilter {
    fn of(query: &str) -> Self {
        let mut filter = Self { page: 1, ..Self::default() };
        let query = query.get(..QUERY_LEN_MAX).unwrap_or(query);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let text = || value.trim().chars().take(SEARCH_LEN_MAX).collect();
            match &*name {
                "q" => filter.q = text(),
                "month" => filter.month = text(),
                "venue" => filter.venue = value.trim().chars().take(2 * SEARCH_LEN_MAX).collect(),
                "on_sale" => filter.on_sale = value == "1",
                "page" => filter.page = value.parse().unwrap_or(1).clamp(1, 1_000),
                _ => {}
            }
        }
        filter
    }

    /// The path of the page with this filter.
    fn path(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("q", &self.q), ("month", &self.month), ("venue", &self.venue)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        if self.on_sale {
            query.append_pair("on_sale", "1");
        }
        if self.page > 1 {
            query.append_pair("page", &self.page.to_string());
        }
        match query.finish() {
            query if query.is_empty() => "/".to_owned(),
            query => format!("/?{query}"),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self { page: self.page, ..Self::default() }
    }

    fn matches(&self, words: &str, shown: &ShownConcert) -> bool {
        let concert = &shown.on_sale.concert;
        shown.matches(words)
            && (self.month.is_empty() || month_of(concert.concert_date) == self.month)
            && (self.venue.is_empty() || concert.venue == self.venue)
            && (!self.on_sale || shown.on_sale.state.is_on_sale())
    }
}

fn month_of(date: Date) -> String {
    format!("{:04}-{:02}", date.year(), date.month())
}

/// A picture, or the title in its place.
#[derive(Debug)]
pub(super) struct PosterView {
    pub(super) src: String,
    pub(super) width: i32,
    pub(super) height: i32,
}

impl PosterView {
    pub(super) fn of(id: ConcertId, profile: &ConcertProfile) -> Option<Self> {
        let mark = profile.poster?;
        Some(Self { src: posters::path(id, mark.tag), width: mark.width, height: mark.height })
    }
}

/// How many looks there are for a concert without a picture.
const HUES: i64 = 12;

/// The look of a concert without a picture.
pub(super) fn hue(id: ConcertId) -> i64 {
    // Neighbours in the season differ more than by one step.
    id.get().wrapping_mul(5).rem_euclid(HUES)
}

/// A concert in the list.
#[derive(Debug)]
struct Card {
    path: String,
    title: String,
    hue: i64,
    poster: Option<PosterView>,
    sale: SaleWords,
    starts_at: Time,
    when: String,
    venue: String,
    price: Option<String>,
    grades: Vec<(String, String)>,
}

impl Card {
    fn of(shell: &Shell, shown: &ShownConcert, now: Time) -> Self {
        let Concert { concert_id, title, venue, time_zone, starts_at, .. } = &shown.on_sale.concert;
        let grades = &shown.profile.grades;
        let lowest = grades.iter().map(|grade| grade.lowest).min();
        Self {
            path: paths::concert(*concert_id),
            title: title.clone(),
            hue: hue(*concert_id),
            poster: PosterView::of(*concert_id, &shown.profile),
            sale: SaleWords::of(shell, shown.on_sale.state, now, time_zone),
            starts_at: *starts_at,
            when: shell.moment(starts_at, time_zone),
            venue: venue.clone(),
            price: lowest.map(|lowest| price_from(shell, lowest, grades)),
            grades: grades
                .iter()
                .map(|grade| (grade.grade.clone(), price_of(shell, grade.lowest, grade.highest)))
                .collect(),
        }
    }
}

fn price_from(shell: &Shell, lowest: Money, grades: &[GradePrices]) -> String {
    let is_one = grades.iter().all(|grade| (grade.lowest, grade.highest) == (lowest, lowest));
    if is_one { shell.money(&lowest) } else { shell.t1("price-from", "price", shell.money(&lowest)) }
}

/// A price, or the prices of the cheapest and the dearest seat.
pub(super) fn price_of(shell: &Shell, lowest: Money, highest: Money) -> String {
    if lowest == highest {
        shell.money(&lowest)
    } else {
        shell.t2("price-range", "lowest", shell.money(&lowest), "highest", shell.money(&highest))
    }
}

/// A value that a filter offers.
#[derive(Debug)]
struct Choice {
    value: String,
    name: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "season.html")]
struct SeasonPage<'a> {
    shell: &'a Shell,
    base: &'a BaseUrl,
    filter: &'a SeasonFilter,
    canonical: String,
    cards: Vec<Card>,
    months: Vec<Choice>,
    venues: Vec<Choice>,
    /// How many concerts the filter finds.
    found: usize,
    before: Option<String>,
    after: Option<String>,
}

fn months(shell: &Shell, season: &Season, chosen: &str) -> Vec<Choice> {
    let dates = season.concerts.iter().map(|shown| shown.on_sale.concert.concert_date.first_of_month());
    let all: BTreeSet<_> = dates.collect();
    let choice = |date: Date| {
        let value = month_of(date);
        Choice { name: figures::month(shell.language, date), is_chosen: value == chosen, value }
    };
    all.into_iter().take(CHOICES_MAX).map(choice).collect()
}

fn venues(season: &Season, chosen: &str) -> Vec<Choice> {
    let all: BTreeSet<_> = season.concerts.iter().map(|shown| shown.on_sale.concert.venue.as_str()).collect();
    let choice = |venue: &str| Choice { value: venue.to_owned(), name: venue.to_owned(), is_chosen: venue == chosen };
    all.into_iter().take(CHOICES_MAX).map(choice).collect()
}

fn page(shell: &Shell, base: &BaseUrl, filter: &SeasonFilter, season: &Season, now: Time) -> HttpResult<String> {
    let words = folded(&filter.q);
    let found: Vec<_> = season.concerts.iter().filter(|shown| filter.matches(&words, shown)).collect();
    let pages = found.len().div_ceil(CARDS).max(1);
    let at = filter.page.min(pages);
    let path_of = |page: usize| SeasonFilter { page, ..filter.clone() }.path();
    let cards = found.iter().skip((at - 1) * CARDS).take(CARDS).map(|shown| Card::of(shell, shown, now));
    text_of(&SeasonPage {
        shell,
        base,
        filter,
        canonical: base.link(&path_of(at)),
        cards: cards.collect(),
        months: months(shell, season, &filter.month),
        venues: venues(season, &filter.venue),
        found: found.len(),
        before: (at > 1).then(|| path_of(at - 1)),
        after: (at < pages).then(|| path_of(at + 1)),
    })
}

/// The season. It is the same for all visitors of a language for a second.
pub(super) async fn season(
    State(app): State<SharedState>,
    shell: Shell,
    base: BaseUrl,
    ClientAddress(client): ClientAddress,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> HttpResult<Response> {
    let filter = SeasonFilter::of(&query.unwrap_or_default());
    let shell = shell.at(filter.path());
    let request = SharedRequest { app: &app, shell: &shell, base: &base, headers: &headers, client };
    let render = async {
        let season = app.office.season().await?;
        page(&shell, &base, &filter, &season, app.office.now())
    };
    request.answer(HTML, render).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_back_from_its_path() {
        let full = SeasonFilter {
            q: "한밤의 물결 & <b>".to_owned(),
            month: "2027-03".to_owned(),
            venue: "Hangang Hall, Seoul".to_owned(),
            on_sale: true,
            page: 3,
        };
        for filter in [full, SeasonFilter { page: 1, ..SeasonFilter::default() }] {
            let path = filter.path();
            assert_eq!(SeasonFilter::of(path.split_once('?').map_or("", |(_, query)| query)), filter, "{path}");
        }
    }

    #[test]
    fn what_a_link_from_elsewhere_adds_does_not_count() {
        let plain = SeasonFilter::of("");
        assert!(plain.is_empty() && plain.path() == "/");
        for query in ["utm_source=mail&fbclid=1", "page=0", "page=x", "q=%20%20", "on_sale=yes", "%ff=%ff", "&&=&"] {
            assert_eq!(SeasonFilter::of(query).path(), "/", "{query}");
        }
        let long = SeasonFilter::of(&format!("q={}", "가".repeat(5_000)));
        assert!(long.q.chars().count() <= SEARCH_LEN_MAX);
    }

    #[test]
    fn concerts_without_a_picture_have_one_of_the_looks() {
        assert!((1..100).all(|id| (0..HUES).contains(&hue(ConcertId::new(id)))));
        assert_ne!(hue(ConcertId::new(1)), hue(ConcertId::new(2)));
    }
}
