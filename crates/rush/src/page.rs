//! The result of a sale as one page of HTML: charts and report, with everything that they need in it.

use crate::{
    crowd::CrowdResult,
    meter::{Sample, Second},
    report,
};
use serde_json::{Value, json};

/// A file with names in braces.
const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");

/// The page of a sale.
pub(crate) fn html(outcome: &CrowdResult) -> String {
    let options = &outcome.options;
    let is_clean = report::is_clean(outcome);
    let summary = format!(
        "{} buyers, arrivals {}, seed {}; {} seats sold in {:.1} s",
        options.buyers,
        options.arrivals,
        options.seed,
        outcome.seats.sold,
        outcome.took.as_secs_f64(),
    );
    let data = json!({ "plan": plan(), "columns": columns(&outcome.measured.samples, &outcome.measured.seconds) });
    fill(&[
        ("title", &escaped(&format!("Sale of concert {}: {}", outcome.concert.0, outcome.concert.1))),
        ("style", &format!("{STYLE}{}", frontrow_charts::STYLE)),
        ("summary", &escaped(&summary)),
        ("verdict_class", if is_clean { "good" } else { "bad" }),
        ("verdict", if is_clean { "The audit is clean." } else { "THE AUDIT FAILED." }),
        ("report", &escaped(&report::text(outcome))),
        // In JSON `<` stands in texts alone; so written, none of them ends the script.
        ("data", &data.to_string().replace('<', "\\u003c")),
        ("script", &frontrow_charts::inline_script()),
    ])
}

/// The page with its names filled in. What is filled in is not searched for names.
fn fill(values: &[(&str, &str)]) -> String {
    let mut page = String::with_capacity(PAGE.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>());
    let mut rest = PAGE;
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, rest)| Some((before, rest.split_once("}}")?)))
    {
        page.push_str(before);
        page.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = after;
    }
    page.push_str(rest);
    page
}

fn plan() -> Value {
    let curve = |measure: &str, key: &str, label: &str, style: &str, tone: u8| json!({ "measure": measure, "key": key, "label": label, "style": style, "tone": tone });
    let count = |key, label, style, tone| curve("count", key, label, style, tone);
    let level = |key, label, style, tone| curve("level", key, label, style, tone);
    json!({
        "lang": "en",
        "words": {
            "cursor": "Moment", "newest": "The end", "table": "The numbers as a table",
            "moment": "Since the opening", "empty": "Nothing was measured.",
            "step": "Each row stands for {seconds} s: requests, refusals and seats held and paid in each second are added up, of all else the largest number is shown. The newest row may be shorter.",
        },
        "panels": [
            { "title": "In line", "unit": "tokens", "curves": [level("waiting", "waiting", "area", 1)] },
            { "title": "Inside", "unit": "tokens", "curves": [
                level("active", "active", "area", 4),
                level("offered", "open turns", "line", 2),
                level("cap", "cap", "dashes", 3),
            ] },
            { "title": "Seats", "unit": "seats", "curves": [
                level("sold", "sold", "area", 4), level("held", "held", "line", 2), level("free", "free", "dots", 6),
            ] },
            { "title": "In each second", "curves": [
                count("requests", "requests", "line", 1),
                count("refused", "refused", "dashes", 3),
                count("holds", "seats held", "dots", 2),
                count("paid", "seats paid", "area", 4),
            ] },
        ],
    })
}

/// The numbers of each second: what was counted in it, and the newest sample by its end.
fn columns(samples: &[Sample], seconds: &[Second]) -> Value {
    let second_of = |sample: &Sample| usize::try_from(sample.at / 1_000_000).unwrap_or(usize::MAX);
    let last = samples.last().map_or(0, |sample| second_of(sample).saturating_add(1));
    let count = seconds.len().max(last.min(LEN_MAX));
    let mut states: Vec<Option<&Sample>> = vec![None; count];
    for sample in samples {
        if let Some(place) = states.get_mut(second_of(sample)) {
            *place = Some(sample);
        }
    }
    for second in 1..last.min(count) {
        states[second] = states[second].or(states[second - 1]);
    }
    let of_samples = |get: fn(&Sample) -> Value| -> Vec<Value> {
        states.iter().map(|sample| sample.map_or(Value::Null, get)).collect()
    };
    let of_seconds =
        |get: fn(&Second) -> u64| -> Vec<u64> { (0..count).map(|second| seconds.get(second).map_or(0, get)).collect() };
    json!({
        "at": (0..count).map(|second| second * 1_000).collect::<Vec<_>>(),
        "waiting": of_samples(|sample| sample.waiting.into()),
        "offered": of_samples(|sample| sample.offered.into()),
        "active": of_samples(|sample| sample.active.into()),
        "cap": of_samples(|sample| sample.max_active.into()),
        "sold": of_samples(|sample| sample.seats.sold.into()),
        "held": of_samples(|sample| sample.seats.held.into()),
        "free": of_samples(|sample| sample.seats.available.into()),
        "requests": of_seconds(|second| second.requests),
        "refused": of_seconds(|second| second.refused),
        "holds": of_seconds(|second| second.holds),
        "paid": of_seconds(|second| second.sold),
    })
}

/// A run is bounded to a day.
const LEN_MAX: usize = 100_000;

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::SeatCounts;

    #[test]
    fn every_name_of_the_page_is_filled_in_and_what_is_filled_in_is_not_searched() {
        let page = fill(&[("title", "{{data}} &amp;"), ("data", "[]")]);
        assert_eq!(page.matches("{{data}} &amp;").count(), 2, "in the head and in the page");
        let names: Vec<_> = PAGE.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0)).collect();
        assert_eq!(names.len(), PAGE.matches("{{").count());
        let known = ["title", "style", "summary", "verdict_class", "verdict", "report", "data", "script"];
        assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
        assert!(known.iter().all(|name| names.contains(name)), "{names:?}");
    }

    #[test]
    fn a_page_loads_nothing() {
        let page = fill(&[("style", STYLE), ("script", &frontrow_charts::inline_script())]);
        for outside in ["http://", "https://", "src=", "import "] {
            let found = page.replace("http://www.w3.org/2000/svg", "").contains(outside);
            assert!(!found, "{outside}");
        }
        assert!(page.contains("default-src 'none'"), "and could load nothing");
    }

    #[test]
    fn each_second_has_its_counts_and_the_newest_sample() {
        let sample = |at, waiting| Sample {
            at,
            waiting,
            seats: SeatCounts { sold: 5, ..SeatCounts::default() },
            ..Sample::default()
        };
        let none = Second::default();
        let seconds = [Second { requests: 3, ..none }, none, none, Second { sold: 2, ..none }];
        let columns = columns(&[sample(0, 9), sample(500_000, 8), sample(2_500_000, 1)], &seconds);
        assert_eq!(columns["at"], json!([0, 1_000, 2_000, 3_000]));
        assert_eq!(columns["waiting"], json!([8, 8, 1, null]));
        assert_eq!(columns["sold"], json!([5, 5, 5, null]));
        assert_eq!(columns["requests"], json!([3, 0, 0, 0]));
        assert_eq!(columns["paid"], json!([0, 0, 0, 2]));
        let keys = plan()["panels"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|panel| panel["curves"].as_array().unwrap().clone())
            .collect::<Vec<_>>();
        for curve in keys {
            assert!(columns[curve["key"].as_str().unwrap()].is_array(), "{curve}");
        }
    }

    #[test]
    fn texts_of_the_sale_are_texts_in_the_page() {
        assert_eq!(escaped("A <sale> & \"more\""), "A &lt;sale&gt; &amp; &quot;more&quot;");
    }
}
