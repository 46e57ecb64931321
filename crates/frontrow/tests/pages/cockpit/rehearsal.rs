//! The rehearsal of a concert, page by page: what is refused, a whole one, and how one is ended.

use crate::support::browser;
use frontrow_domain::{id::ConcertId, time::Span, user::Caller};
use frontrow_service::rehearsal::RehearsalProgram;
use frontrow_testkit::{Browser, Client, Hall, LoadedPage, START, Server, eventually};
use std::{
    path::{Path, PathBuf},
    task::Poll,
};

const PEOPLE: [(&str, &str); 6] = [
    ("people", "50"),
    ("arrive_minutes", "0"),
    ("visit_seconds", "1"),
    ("give_up_percent", "10"),
    ("seats_each", "2"),
    ("minutes", "1"),
];

/// The key of a form.
const KEY: &str = "a-form-of-a-rehearsal";

/// The same crowd with another value of a field.
fn but(field: &'static str, value: &'static str) -> Vec<(&'static str, &'static str)> {
    PEOPLE.iter().map(|given| if given.0 == field { (field, value) } else { *given }).collect()
}

/// A server that rehearses, an operator's browser, and a concert with 30 seats whose sale opens in a day.
struct House {
    server: Server,
    operator: Client,
    browser: Browser,
    hall: Hall,
    path: String,
}

impl House {
    async fn open() -> Self {
        Self::opening_in(86_400).await
    }

    async fn opening_in(seconds: i64) -> Self {
        Self::with(seconds, PathBuf::from(env!("CARGO_BIN_EXE_frontrow"))).await
    }

    async fn with(seconds: i64, program: PathBuf) -> Self {
        let server = Server::start().await;
        let hall = server
            .hall_like(30, |draft| {
                draft.opens_at = START.plus(Span::from_secs(seconds));
                draft.own_room_max_active = Some(10);
            })
            .await;
        let folder = server.database().with_file_name("rehearsal");
        server.app().office.offer_rehearsals(RehearsalProgram { program, folder });
        let operator = server.operator().await;
        let browser = browser(&server, &operator);
        let path = format!("/operator/concerts/{}/rehearsal", hall.id());
        Self { server, operator, browser, hall, path }
    }

    fn folder(&self) -> PathBuf {
        self.server.database().with_file_name("rehearsal")
    }

    async fn page(&self) -> LoadedPage {
        let page = self.browser.open(&self.path).await;
        assert_eq!(page.status, 200, "{}", page.html);
        page
    }

    async fn begin(&self, key: &str, fields: &[(&str, &str)]) {
        let answer = self.send(key, fields).await;
        assert_eq!((answer.status, answer.leads_to()), (303, self.path.as_str()), "{}", answer.html);
    }

    async fn send(&self, key: &str, fields: &[(&str, &str)]) -> LoadedPage {
        self.browser.send(&self.path, &[fields, &[("key", key)]].concat()).await
    }

    /// The newest entries of the audit log.
    async fn log(&self) -> Vec<serde_json::Value> {
        frontrow_testkit::items(&self.operator.get("/operator/audit?limit=20").await.expect(200)).clone()
    }

    /// How often the audit log has an act.
    async fn noted(&self, action: &str) -> usize {
        self.log().await.iter().filter(|line| line["action"] == action).count()
    }

    /// The page once no rehearsal runs any more.
    async fn at_the_end(&self) -> LoadedPage {
        eventually("the end of the rehearsal", async || {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            let page = self.page().await;
            (!is_running(&page)).then_some(page)
        })
        .await
    }
}

fn is_running(page: &LoadedPage) -> bool {
    page.html.contains("id=\"rehearsal-running\"")
}

fn says(page: &LoadedPage, text: &str) {
    assert!(page.html.contains(text), "{text} is not in {}", page.html);
}

/// Every row of every table, but for those of the audit log, of answers kept for forms that are sent twice, and of
/// deliveries that were due before.
fn rows(database: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(database).unwrap();
    let mut tables = connection
        .prepare(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'outbox%'
            AND name NOT LIKE 'audit%' AND name <> 'idempotency' AND name <> 'sqlite_sequence' ORDER BY name",
        )
        .unwrap();
    let tables: Vec<String> = tables.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut all = Vec::new();
    for table in tables {
        let mut query = connection.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns = query.column_count();
        let mut found = query.query(()).unwrap();
        while let Some(row) = found.next().unwrap() {
            let values: Vec<_> = (0..columns).map(|at| format!("{:?}", row.get_ref(at).unwrap())).collect();
            all.push(format!("{table}: {}", values.join(" ")));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_tells_when_the_sale_would_be_sold_out_and_touches_no_row_of_it() {
    let house = House::open().await;
    says(&house.page().await, "value=\"60\"");
    let before = rows(&house.server.database());
    let key = house.page().await.hidden("key");
    house.begin(&key, &PEOPLE).await;
    // Sent twice, the form begins one rehearsal, whose page it leads to; so does another form while that one runs.
    house.begin(&key, &PEOPLE).await;
    house.begin(KEY, &PEOPLE).await;
    assert!(is_running(&house.page().await));
    let log = house.log().await;
    let begun: Vec<_> = log.iter().filter(|line| line["action"] == "rehearsal.begin").collect();
    assert_eq!((begun.len(), &begun[0]["detail"]["people"]), (1, &50.into()), "the one that ran is in the log, once");
    let page = house.at_the_end().await;
    house.begin(&key, &PEOPLE).await;
    assert!(!is_running(&house.page().await), "and none after its end");
    assert_eq!(house.send(&key, &but("people", "51")).await.status, 422, "the key of another form");
    assert_eq!(house.noted("rehearsal.begin").await, 1);
    for text in ["에 매진, 예매 시작 후 ", "30 중 30", "모든 약속이 지켜졌습니다", "data-columns="]
    {
        says(&page, text);
    }
    says(&page, "value=\"50\"");
    let after = rows(&house.server.database());
    assert_eq!(before, after);
    assert!(!house.folder().exists());
    let english = house.browser.speaking("en").open(&house.path).await;
    says(&english, "Sold out at ");
    house.server.close().await;
}

#[tokio::test]
async fn every_field_is_checked_and_says_what_it_may_be() {
    let house = House::open().await;
    let (most, seats) = ("1부터 20,000까지입니다.", "1부터 4까지입니다.");
    for (field, value, reason) in [
        ("people", "", most),
        ("people", "0", most),
        ("people", "20001", most),
        ("people", "-5", most),
        ("people", "many", most),
        ("people", "<b>", most),
        ("arrive_minutes", "11", "0부터 10까지입니다."),
        ("visit_seconds", "0", "1부터 300까지입니다."),
        ("visit_seconds", "1.5", "1부터 300까지입니다."),
        ("give_up_percent", "91", "0부터 90까지입니다."),
        ("seats_each", "5", seats),
        ("seats_each", "99999999999999999999", seats),
        ("minutes", "0", "1부터 10까지입니다."),
        ("minutes", "11", "1부터 10까지입니다."),
    ] {
        let page = house.send(KEY, &but(field, value)).await;
        assert_eq!(page.status, 422, "{field} {value}");
        says(&page, &format!("id=\"{field}-why\">{reason}</p>"));
        assert!(!page.html.contains("<b>"), "what was typed is text");
    }
    let page = house.send(KEY, &PEOPLE[1..]).await;
    assert_eq!(page.status, 422, "a field is missing");
    let twice = [&PEOPLE[..], &PEOPLE[..1]].concat();
    assert_eq!(house.send(KEY, &twice).await.status, 422);
    assert_eq!(house.browser.send(&house.path, &PEOPLE).await.status, 422, "no key");
    let elsewhere = house.path.replace(&house.hall.id().to_string(), "999");
    assert_eq!(house.browser.send(&elsewhere, &[&PEOPLE[..], &[("key", KEY)]].concat()).await.status, 404);
    assert_eq!(house.browser.open(&elsewhere).await.status, 404);
    assert_eq!(house.browser.send(&format!("{elsewhere}/stop"), &[]).await.status, 404);
    assert_eq!(house.browser.open(&format!("{}/stop", house.path)).await.leads_to(), house.path, "a reload");
    assert!(!is_running(&house.page().await));
    house.server.close().await;
}

#[tokio::test]
async fn no_rehearsal_begins_while_a_sale_is_open_or_opens_soon() {
    for seconds in [-60, 19 * 60] {
        let house = House::opening_in(seconds).await;
        let page = house.page().await;
        says(&page, "판매 중이거나 20분 안에 판매가 열리면");
        says(&page, if seconds < 0 { "부터 예매 중." } else { "예매 시작 20" });
        assert!(!page.html.contains("리허설 시작</button>"), "{}", page.html);
        let refused = house.send(KEY, &PEOPLE).await;
        assert_eq!(refused.status, 409, "{}", refused.html);
        says(&refused, "Midnight Tide: The First Night");
        let plan = house.browser.open(&format!("{}/plan.json", house.path)).await;
        let plan: serde_json::Value = serde_json::from_str(&plan.html).unwrap();
        assert_eq!((plan["seats"].as_array().unwrap().len(), &plan["room"]["max_active"]), (30, &10.into()));
        house.server.close().await;
    }
}

#[tokio::test]
async fn others_than_operators_begin_and_stop_nothing() {
    let house = House::open().await;
    let buyer = browser(&house.server, &house.server.buyer("buyer").await);
    for path in [house.path.clone(), format!("{}/stop", house.path)] {
        assert_eq!(buyer.send(&path, &PEOPLE).await.status, 403);
        let stranger = Browser::at(&house.server).send(&path, &PEOPLE).await;
        assert!(stranger.status == 401 || stranger.leads_to().starts_with("/sign-in"), "{}", stranger.status);
    }
    assert_eq!(buyer.open(&house.path).await.status, 403);
    let viewer = browser(&house.server, &house.server.viewer().await);
    let seen = viewer.open(&house.path).await;
    assert!(seen.status == 200 && !seen.html.contains("name=\"people\""), "{}", seen.html);
    for path in [house.path.clone(), format!("{}/stop", house.path)] {
        assert_eq!(viewer.send(&path, &PEOPLE).await.status, 403);
    }
    assert_eq!(buyer.open(&format!("{}/plan.json", house.path)).await.status, 403);
    let other_site = [("sec-fetch-site", "cross-site")];
    let forged = house.browser.send_with(&house.path, frontrow_testkit::form_body(&PEOPLE), &other_site).await;
    assert_eq!(forged.status, 403, "{}", forged.html);
    assert!(!is_running(&house.page().await));
    house.server.close().await;
}

/// A crowd that is at it for minutes.
fn long() -> Vec<(&'static str, &'static str)> {
    but("visit_seconds", "60")
        .into_iter()
        .map(|field| if field.0 == "minutes" { ("minutes", "5") } else { field })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_is_stopped_by_an_operator_and_by_a_sale_that_comes_near() {
    let house = House::open().await;
    house.begin(KEY, &long()).await;
    let stop = async || {
        let stopped = house.browser.send(&format!("{}/stop", house.path), &[]).await;
        assert_eq!((stopped.status, stopped.leads_to()), (303, house.path.as_str()), "{}", stopped.html);
    };
    // Four at once, and one more: one stop is noted.
    tokio::join!(stop(), stop(), stop(), stop());
    stop().await;
    says(&house.at_the_end().await, "중지되었습니다");
    assert!(!house.folder().exists());
    assert_eq!(house.noted("rehearsal.stop").await, 1);
    let acts: Vec<_> = house.log().await.iter().map(|line| line["action"].as_str().unwrap().to_owned()).collect();
    assert_eq!(acts[..2], ["rehearsal.stop", "rehearsal.begin"]);
    says(&house.browser.open("/operator/audit").await, "리허설 중지");
    // Nothing is left to stop, and nothing is noted.
    stop().await;
    assert_eq!(house.noted("rehearsal.stop").await, 1);

    // The next one is stopped, too. Neither of the two forms begins a third.
    house.begin("a-second-rehearsal-0001", &long()).await;
    stop().await;
    house.at_the_end().await;
    for key in [KEY, "a-second-rehearsal-0001"] {
        house.begin(key, &long()).await;
        assert!(!is_running(&house.page().await));
    }
    assert_eq!((house.noted("rehearsal.begin").await, house.noted("rehearsal.stop").await), (2, 2));

    house.begin("a-third-rehearsal-00001", &long()).await;
    let change = serde_json::json!({ "opens_at": START.plus(Span::from_secs(60)) });
    house.operator.patch(&format!("/operator/concerts/{}", house.hall.id()), &change).await.expect(200);
    says(&house.at_the_end().await, "판매가 곧 열려서");
    assert!(!house.folder().exists());
    house.server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_whose_program_does_not_start_is_not_in_the_log_and_its_form_may_be_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("frontrow");
    let house = House::with(86_400, program.clone()).await;
    let refused = house.send(KEY, &long()).await;
    assert_eq!(refused.status, 409, "{}", refused.html);
    says(&refused, "프로그램");
    assert!(!is_running(&house.page().await));
    assert_eq!(house.noted("rehearsal.begin").await, 0);
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_frontrow"), &program).unwrap();
    house.begin(KEY, &long()).await;
    assert!(is_running(&house.page().await));
    assert_eq!(house.noted("rehearsal.begin").await, 1);
    house.server.close().await;
}

/// Begins an act and drops it, as a server does with the request of a browser that is gone.
async fn dropped<T>(act: impl Future<Output = T>) {
    let mut act = std::pin::pin!(act);
    std::future::poll_fn(|context| Poll::Ready(act.as_mut().poll(context).is_ready())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_begins_and_is_stopped_although_the_browser_is_gone() {
    let house = House::open().await;
    let caller = Caller::Operator(house.server.operator_with_password("correct horse battery").await);
    let office = std::sync::Arc::clone(&house.server.app().office);
    let id = ConcertId::new(house.hall.id());
    let proposed = office.rehearsal(id).await.unwrap().proposed;
    dropped(office.begin_rehearsal(caller, id, proposed, None)).await;
    eventually("a rehearsal", async || is_running(&house.page().await).then_some(())).await;
    assert_eq!(house.noted("rehearsal.begin").await, 1);
    dropped(office.stop_rehearsal(caller, id)).await;
    drop(office);
    says(&house.at_the_end().await, "중지되었습니다");
    assert_eq!(house.noted("rehearsal.stop").await, 1);
    house.server.close().await;
}

/// The processes that run over this folder.
fn processes(folder: &Path) -> Vec<u32> {
    let folder = folder.to_str().unwrap();
    let numbers =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_ours = |number: &u32| {
        std::fs::read(format!("/proc/{number}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).split('\0').any(|part| part == folder))
    };
    numbers.filter(is_ours).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_that_is_killed_has_failed_and_one_ends_with_its_server() {
    let house = House::open().await;
    house.begin(KEY, &long()).await;
    let number = eventually("a process", async || processes(&house.folder()).first().copied()).await;
    let database = house.folder().join("frontrow.db");
    eventually("a scratch box office", async || database.exists().then_some(())).await;
    let status = std::process::Command::new("kill").args(["-KILL", &number.to_string()]).status().unwrap();
    assert!(status.success());
    let failed = house.at_the_end().await;
    says(&failed, "실패했습니다");
    // The log has the reason, under an id that the page names.
    says(&failed, "서버 로그");
    assert!(!failed.html.contains("ended without a word"), "{}", failed.html);
    assert!(!house.folder().exists(), "the server removes what it left");

    house.begin("a-second-rehearsal-0001", &long()).await;
    let folder = house.folder();
    eventually("a process", async || processes(&folder).first().copied()).await;
    let kept = house.server.stop().await;
    eventually("the end of the process", async || processes(&folder).is_empty().then_some(())).await;
    drop(kept);
}
