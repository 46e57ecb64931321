//! A concert as search engines read it: schema.org's `MusicEvent`, in JSON-LD.

use crate::{
    edge::base_url::BaseUrl,
    html::{figures, paths},
    pages::season::PosterView,
};
use frontrow_domain::{
    sale::{AgeRating, Concert, ConcertStatus},
    time::Time,
};
use frontrow_service::sale::{ConcertGrade, ConcertView, SaleState};
use serde_json::{Map, Value, json};

/// The event as JSON that a page can hold: no text in it ends the script that it stands in.
pub(super) fn json_ld(base: &BaseUrl, view: &ConcertView) -> serde_json::Result<String> {
    let json = serde_json::to_string(&event(base, view))?;
    Ok(json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
}

/// With the offset of the venue's clock.
fn local(at: Time, zone: &str) -> String {
    figures::local(at, zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

fn event(base: &BaseUrl, view: &ConcertView) -> Value {
    let on_sale = &view.shown.on_sale;
    let concert = &on_sale.concert;
    let (profile, details) = (&view.shown.profile, &view.shown.profile.details);
    let zone = concert.time_zone.as_str();
    let url = base.link(&paths::concert(concert.concert_id));
    let mut place = json!({ "@type": "Place", "name": concert.venue });
    place["address"] = json!(details.address.as_deref().unwrap_or(&concert.venue));
    let mut event = json!({
        "@context": "https://schema.org",
        "@type": "MusicEvent",
        "name": concert.title,
        "url": url,
        "startDate": local(concert.starts_at, zone),
        "endDate": local(concert.ends_at, zone),
        "eventStatus": status(concert),
        "eventAttendanceMode": "https://schema.org/OfflineEventAttendanceMode",
        "location": place,
        "performer": { "@type": "MusicGroup", "name": concert.artist },
        "offers": view.hall.grades.iter().map(|grade| offer(grade, concert, on_sale.state, &url)).collect::<Vec<_>>(),
    });
    let mut add = |name: &str, value: Option<Value>| {
        if let (Some(value), Some(members)) = (value, event.as_object_mut()) {
            members.insert(name.to_owned(), value);
        }
    };
    add("doorTime", concert.doors_at(details).map(|at| json!(local(at, zone))));
    add("description", details.description.as_ref().map(|text| json!(text)));
    add(
        "organizer",
        details.organiser.as_ref().map(|name| json!({ "@type": "Organization", "name": name, "url": base.link("/") })),
    );
    add("typicalAgeRange", details.age_rating.map(|rating| json!(ages(rating))));
    add("image", PosterView::of(concert.concert_id, profile).map(|poster| json!([base.link(&poster.src)])));
    event
}

const fn status(concert: &Concert) -> &'static str {
    match concert.status {
        ConcertStatus::Cancelled => "https://schema.org/EventCancelled",
        ConcertStatus::Postponed => "https://schema.org/EventPostponed",
        ConcertStatus::Scheduled | ConcertStatus::Closed | ConcertStatus::Over => "https://schema.org/EventScheduled",
    }
}

const fn ages(rating: AgeRating) -> &'static str {
    match rating {
        AgeRating::All => "0+",
        AgeRating::From7 => "7+",
        AgeRating::From12 => "12+",
        AgeRating::From15 => "15+",
        AgeRating::From19 => "19+",
    }
}

fn offer(grade: &ConcertGrade, concert: &Concert, state: SaleState, url: &str) -> Value {
    let availability = match state {
        SaleState::Opens { .. } => "https://schema.org/PreOrder",
        SaleState::OnSale { .. } if grade.left > 0 => "https://schema.org/InStock",
        SaleState::FewLeft { .. } if grade.left > 0 => "https://schema.org/LimitedAvailability",
        // What is only held may come back.
        SaleState::OnSale { .. } | SaleState::FewLeft { .. } | SaleState::AllHeld if grade.held > 0 => {
            "https://schema.org/OutOfStock"
        }
        SaleState::OnSale { .. } | SaleState::FewLeft { .. } | SaleState::AllHeld | SaleState::SoldOut => {
            "https://schema.org/SoldOut"
        }
        SaleState::NoSeats | SaleState::Closed | SaleState::Postponed | SaleState::Cancelled | SaleState::Over => {
            "https://schema.org/OutOfStock"
        }
    };
    let mut offer = Map::from_iter([
        ("@type".to_owned(), json!("Offer")),
        ("url".to_owned(), json!(url)),
        ("price".to_owned(), json!(grade.lowest)),
        ("priceCurrency".to_owned(), json!("KRW")),
        ("availability".to_owned(), json!(availability)),
    ]);
    if !concert.has_no_opening() {
        offer.insert("validFrom".to_owned(), json!(local(concert.opens_at, &concert.time_zone)));
    }
    if !grade.name.is_empty() {
        offer.insert("name".to_owned(), json!(grade.name));
    }
    Value::Object(offer)
}
