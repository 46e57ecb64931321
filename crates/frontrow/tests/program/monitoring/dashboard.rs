//! Every query of the dashboard and of the alerts, held against the metrics of instances.

use super::{deploy, instance, scrape};
use frontrow_domain::time::Time;
use frontrow_testkit::{
    Server,
    servers::{postgres::TestDatabase, shared_redis},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Labels that Prometheus adds.
const ADDED: [&str; 2] = ["instance", "job"];
/// The values of this label come with what they are values of.
const COMES_LATER: &str = "code";

type Labels = BTreeMap<String, String>;

/// Everything that was scraped: the samples of each metric.
struct Scrape(BTreeMap<String, Vec<Labels>>);

impl Scrape {
    fn of(text: &str) -> Self {
        let mut samples: BTreeMap<String, Vec<Labels>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = matchers(labels.strip_suffix('}').unwrap());
            let labels = labels.into_iter().map(|matcher| (matcher.label, matcher.value)).collect();
            samples.entry(name.to_owned()).or_default().push(labels);
        }
        Self(samples)
    }

    /// The fault of a query, as far as these samples show.
    fn faults(&self, query: &str) -> Vec<String> {
        let Query { selectors, grouped } = Query::parse(query);
        let mut faults = Vec::new();
        let mut known: BTreeSet<&str> = ADDED.into();
        for Selector { metric, matchers } in &selectors {
            let own: &[Labels] = match self.0.get(metric) {
                Some(samples) => samples,
                // Prometheus makes it.
                None if metric == "up" => &[],
                None => {
                    faults.push(format!("there is no {metric}"));
                    continue;
                }
            };
            known.extend(own.iter().flat_map(|labels| labels.keys()).map(String::as_str));
            for Matcher { label, operator, value } in matchers.iter().filter(|one| !ADDED.contains(&&*one.label)) {
                let is_there = own
                    .iter()
                    .filter_map(|labels| labels.get(label))
                    .any(|found| operator != "=" || label == COMES_LATER || found == value);
                if !is_there {
                    faults.push(format!("{metric} has no {label}{operator}{value:?}"));
                }
            }
        }
        if selectors.is_empty() {
            faults.push("it asks for nothing".to_owned());
        }
        let strange = grouped.iter().filter(|label| !known.contains(label.as_str()));
        faults.extend(strange.map(|label| format!("nothing in it has the label {label}")));
        faults
    }

    #[track_caller]
    fn has_no_fault(&self, what: &str, query: &str) {
        let faults = self.faults(query);
        assert!(faults.is_empty(), "{what}: {query}: {faults:?}");
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Matcher {
    label: String,
    operator: String,
    value: String,
}

/// The text between the braces of a selector, or of a sample. No value here has a quotation mark or a comma in it.
fn matchers(text: &str) -> Vec<Matcher> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let matcher = |part: &str| {
        let from = part.find(['=', '!']).unwrap();
        let quote = part.find('"').unwrap();
        let value = part[quote..].trim_matches('"');
        Matcher { label: part[..from].trim().into(), operator: part[from..quote].trim().into(), value: value.into() }
    };
    parts.map(matcher).collect()
}

struct Selector {
    metric: String,
    matchers: Vec<Matcher>,
}

/// As much of a query as can be held against samples.
#[derive(Default)]
struct Query {
    selectors: Vec<Selector>,
    /// The labels that distinguish results.
    grouped: Vec<String>,
}

impl Query {
    fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text;
        while let Some(from) = rest.find(|letter: char| letter.is_ascii_alphabetic() || "_\"[".contains(letter)) {
            rest = &rest[from..];
            if let Some(quoted) = rest.strip_prefix('"') {
                rest = quoted.split_once('"').unwrap().1;
                continue;
            }
            if rest.starts_with('[') {
                rest = rest.split_once(']').unwrap().1;
                continue;
            }
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after;
            if ["by", "on", "without", "ignoring"].contains(&word) {
                let (labels, after) = rest.trim_start().strip_prefix('(').unwrap().split_once(')').unwrap();
                query.grouped.extend(labels.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned));
                rest = after;
            } else if word.starts_with("frontrow_") || word.starts_with("process_") || word == "up" {
                let mut selector = Selector { metric: word.to_owned(), matchers: Vec::new() };
                if let Some(braces) = rest.strip_prefix('{') {
                    let (inner, after) = braces.split_once('}').unwrap();
                    selector.matchers = matchers(inner);
                    rest = after;
                }
                query.selectors.push(selector);
            }
        }
        query
    }
}

/// The metrics of instances of both kinds after a sale with a refusal in it.
async fn scraped() -> Scrape {
    let database = TestDatabase::new().await;
    let redis = shared_redis();
    let mut text = String::new();
    for server in [instance(&database.url(), &redis, &[]).await, Server::start().await] {
        let hall = server.hall_like(2, |draft| draft.opens_at = Time::default()).await;
        let buyer = server.buyer_with("buyer", 1_000_000).await;
        buyer.buy(hall.seats[0]).await;
        buyer.hold("x", hall.seats[1]).await.problem(403, "token_invalid");
        // A token is in line: the room has a leader.
        server.buyer("next").await.join(None).await;
        text += &scrape(&server).await;
        server.stop().await;
    }
    Scrape::of(&text)
}

/// The labels that a legend names.
fn named(legend: &str) -> impl Iterator<Item = &str> {
    legend.split("{{").skip(1).map(|part| part.split_once("}}").unwrap().0)
}

fn dashboard() -> Value {
    serde_json::from_str(&std::fs::read_to_string(deploy("grafana/frontrow.json")).unwrap()).unwrap()
}

/// The expression of each alert, by its name.
fn alerts() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(deploy("prometheus/frontrow.rules.yaml")).unwrap();
    let alerts = text.split("- alert: ").skip(1).map(|alert| {
        let name = alert.lines().next().unwrap().to_owned();
        let (_, expression) = alert.split_once("expr:").unwrap();
        let end = ["\n        for:", "\n        labels:"].iter().filter_map(|key| expression.find(key)).min().unwrap();
        (name, expression[..end].trim_start_matches([' ', '|']).to_owned())
    });
    alerts.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dashboard_and_the_alerts_ask_for_what_instances_tell() {
    let scrape = Box::pin(scraped()).await;
    let dashboard = dashboard();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let (query, legend) = (target["expr"].as_str().unwrap(), target["legendFormat"].as_str().unwrap());
            scrape.has_no_fault(title, query);
            let Query { selectors, grouped } = Query::parse(query);
            for label in named(legend) {
                let kept = if query.contains(" by (") {
                    grouped.iter().any(|one| one == label)
                } else {
                    let has = |one: &Selector| scrape.0[&one.metric].iter().any(|labels| labels.contains_key(label));
                    ADDED.contains(&label) || selectors.iter().all(has)
                };
                assert!(kept, "{title}: {query} has no {label} for its legend");
            }
            queries += 1;
        }
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        if let Some(query) = variable["query"]["query"].as_str() {
            let (metric, label) =
                query.strip_prefix("label_values(").unwrap().trim_end_matches(')').split_once(", ").unwrap();
            scrape.has_no_fault("a variable", &format!("count by ({label}) ({metric})"));
        }
    }
    assert!(queries > 20, "{queries} queries are too few to be all");
    let alerts = alerts();
    assert!(alerts.len() > 10, "{} alerts are too few to be all", alerts.len());
    for (name, query) in alerts {
        scrape.has_no_fault(&name, &query);
    }
}

#[test]
fn a_query_for_what_is_not_there_is_found() {
    let scrape = Scrape::of("frontrow_room_tokens{room=\"0\",status=\"active\"} 3\nfrontrow_line_rebuilds 1\n# EOF");
    for right in [
        r#"max by (room) (frontrow_room_tokens{status="active", room=~"$room"}) > 0"#,
        r#"sum(up{job="frontrow"}) + rate(frontrow_line_rebuilds[5m] offset 1m)"#,
        "frontrow_room_tokens unless on () max by (instance) (frontrow_line_rebuilds) == 0",
    ] {
        assert!(scrape.faults(right).is_empty(), "{right}: {:?}", scrape.faults(right));
    }
    for (wrong, fault) in [
        ("sum(frontrow_room_token)", "there is no frontrow_room_token"),
        (r#"frontrow_room_tokens{state="active"}"#, r#"frontrow_room_tokens has no state="active""#),
        (r#"frontrow_room_tokens{status="gone"}"#, r#"frontrow_room_tokens has no status="gone""#),
        ("sum by (concert) (frontrow_room_tokens)", "nothing in it has the label concert"),
        ("time() - 5", "it asks for nothing"),
    ] {
        assert_eq!(scrape.faults(wrong), [fault], "{wrong}");
    }
}
