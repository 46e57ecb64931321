//! The screen of a sale: at every instance the same whole house, and what is wrong with it, which the page says in words.

use super::{assert_books_in_order, instance, instance_over};
use frontrow_clock::Clock;
use frontrow_service::house::{
    AttentionKind, HouseCoverage, RedisTrouble, SaleMoment, SaleNews, SaleScreen, SaleWatch, SignsOfLife,
};
use frontrow_testkit::{
    Browser, Client, Hall, PATIENCE, Server, eventually,
    house::{assert_agrees, compare_while_buying, graded_hall},
    servers::{
        postgres::{PostgresServer, TestDatabase},
        redis::RedisServer,
        shared_redis,
    },
};
use std::sync::Arc;

async fn screen(server: &Server, hall: &Hall) -> SaleScreen {
    server.app().office.sale_screen(hall.concert.concert_id).await.unwrap()
}

async fn watch(server: &Server, hall: &Hall) -> SaleWatch {
    server.app().office.watch_sale(hall.concert.concert_id).await.unwrap()
}

async fn next(watch: &mut SaleWatch) -> Arc<SaleMoment> {
    let SaleNews { moment, .. } =
        tokio::time::timeout(PATIENCE, watch.next()).await.expect("there is a moment each second").unwrap();
    moment
}

/// The first moment that shows something like this, and the name of the instance that it is about.
async fn shows(watch: &mut SaleWatch, find: impl Fn(&AttentionKind) -> Option<&String>) -> (Arc<SaleMoment>, String) {
    eventually("it needs attention", async || {
        let moment = next(watch).await;
        let instance = moment.screen.attention.iter().find_map(|one| find(&one.kind))?.clone();
        Some((moment, instance))
    })
    .await
}

/// The page of a sale at an instance, in the browser of an operator, in Korean.
struct SalePage {
    browser: Browser,
    path: String,
}

impl SalePage {
    /// From then on the instance knows the operator's session, for as long as the database does not answer.
    async fn open(server: &Server, operator: &Client, hall: &Hall) -> Self {
        let browser = Browser::at(server).speaking("ko");
        browser.set_cookie("frontrow-session", operator.secret());
        let page = Self { browser, path: format!("/operator{}/sale", hall.path()) };
        page.is_fine().await;
        page
    }

    /// Opens it until this stands in it.
    async fn has(&self, html: &str) {
        eventually(&format!("the page has {html}"), async || {
            let page = self.browser.open(&self.path).await;
            page.shows(200, &[]).html.contains(html).then_some(())
        })
        .await;
    }

    /// It names this among what needs attention.
    async fn names(&self, words: &str) {
        self.has(&format!("<b>{words}</b>")).await;
    }

    async fn is_fine(&self) {
        self.has(r#"<li class="fine">확인할 것이 없습니다. 모두 정상입니다.</li>"#).await;
    }
}

/// The first moment in which nothing needs attention.
async fn is_whole(watch: &mut SaleWatch, instances: usize) -> Arc<SaleMoment> {
    let mut last = None;
    let whole = tokio::time::timeout(PATIENCE, async {
        loop {
            let moment = next(watch).await;
            let SaleScreen { attention, coverage, instances: there, .. } = &moment.screen;
            if attention.is_empty() && *coverage == HouseCoverage::Whole && there.len() == instances {
                return moment;
            }
            last = Some((attention.clone(), *coverage, there.len()));
        }
    })
    .await;
    whole.unwrap_or_else(|_| panic!("never whole: {last:?}"))
}

/// What each of these instances shows of a sale, once it is whole everywhere: the moments, and the page.
async fn screens(servers: &[Server], hall: &Hall, operator: &Client) -> Vec<(SaleWatch, SalePage)> {
    let mut screens = Vec::new();
    for server in servers {
        let mut watch = watch(server, hall).await;
        is_whole(&mut watch, servers.len()).await;
        screens.push((watch, SalePage::open(server, operator, hall).await));
    }
    screens
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_instance_shows_the_same_whole_house() {
    let database = TestDatabase::new().await;
    let (one, two, three) = (instance(&database).await, instance(&database).await, instance(&database).await);
    let hall = graded_hall(&one, 4, 10).await;
    let servers = [&one, &two, &three];
    for server in servers {
        is_whole(&mut watch(server, &hall).await, 3).await;
    }
    for (number, server) in servers.into_iter().enumerate() {
        let buyer = one.buyer_with(&format!("buyer{number}"), 500_000).await.at(server.address);
        let token = buyer.enter(Some(hall.id())).await;
        let held = buyer.hold(&token, hall.seats[4 * number]).await.expect(201);
        if number > 0 {
            buyer.pay(&token, held["reservation_id"].as_i64().unwrap()).await.expect(201);
        }
        buyer.hold(&token, hall.seats[4 * number]).await;
    }
    assert_agrees(&servers, &hall).await;
    for server in servers {
        let shown = screen(server, &hall).await;
        assert_eq!((shown.seats.money.held, shown.seats.money.sold), (180_000, 120_000 + 90_001));
        // What each did is in the figures of all, once the second is over.
        let sums = eventually("the figures of all instances are there", async || {
            let seconds = server.app().office.sale_history(hall.concert.concert_id).await.unwrap();
            let sum = |of: fn(&frontrow_service::house::HouseSecond) -> u32| seconds.iter().map(of).sum::<u32>();
            let sums = (sum(|second| second.joins), sum(|second| second.admitted), sum(|second| second.holds));
            let sold = sum(|second| second.sold);
            ((sums, sold) == ((3, 3, 3), 2)).then_some(seconds)
        })
        .await;
        assert!(sums.iter().any(|second| second.p99.is_some() && second.requests > 0));
        assert!(sums.is_sorted_by_key(|second| second.at));
        let problems: u64 = sums.iter().flat_map(|second| &second.problems).map(|(_, count)| count).sum();
        assert_eq!(problems, 3, "the holds of seats that were taken: {sums:?}");
    }
    for server in [one, two, three] {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_screens_agree_with_the_rows_at_every_moment_of_a_sale() {
    let database = TestDatabase::new().await;
    let (one, two, three) = (instance(&database).await, instance(&database).await, instance(&database).await);
    let hall = graded_hall(&one, 20, 6).await;
    compare_while_buying(&[&one, &two, &three], &hall, 4, 20).await;
    let config = one.config.clone();
    for server in [one, two, three] {
        server.stop().await;
    }
    assert_books_in_order(&config).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_stops_is_no_alarm_and_one_that_is_killed_is_seen_by_all() {
    let database = TestDatabase::new().await;
    let (one, two) = (instance(&database).await, instance(&database).await);
    let (three, four) = (instance(&database).await, instance(&database).await);
    let hall = graded_hall(&one, 1, 1).await;
    let (mut at_one, mut at_two) = (watch(&one, &hall).await, watch(&two, &hall).await);
    for watch in [&mut at_one, &mut at_two] {
        is_whole(watch, 4).await;
    }
    three.stop().await;
    for _ in 0..6 {
        let moment = next(&mut at_one).await;
        assert_eq!(moment.screen.attention, [], "it said that it stops");
    }
    for watch in [&mut at_one, &mut at_two] {
        is_whole(watch, 3).await;
    }
    let operator = one.operator().await;
    let pages = [SalePage::open(&one, &operator, &hall).await, SalePage::open(&two, &operator, &hall).await];
    four.kill().await;
    for (watch, page) in [&mut at_one, &mut at_two].into_iter().zip(pages) {
        let (moment, instance) = shows(watch, |kind| match kind {
            AttentionKind::InstanceSilent { instance } => Some(instance),
            _ => None,
        })
        .await;
        page.names(&format!("서버 {instance}가 소식이 없습니다")).await;
        let silent = moment.screen.instances.iter().filter(|one| one.signs == SignsOfLife::Silent);
        assert_eq!((silent.count(), moment.screen.instances.len()), (1, 3));
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_is_gone_is_seen_and_once_it_is_back_the_house_is_whole() {
    let database = TestDatabase::new().await;
    let mut redis = RedisServer::start();
    let start = async || instance_over(database.url(), redis.url(), Clock::System).await;
    let servers = [start().await, start().await, start().await];
    let hall = graded_hall(&servers[0], 1, 1).await;
    let mut screens = screens(&servers, &hall, &servers[0].operator().await).await;
    redis.kill();
    for (watch, page) in &mut screens {
        let (_, instance) = shows(watch, |kind| match kind {
            AttentionKind::RedisAway { instance, trouble: RedisTrouble::Unreachable } => Some(instance),
            _ => None,
        })
        .await;
        page.names(&format!("서버 {instance}에서 Redis가 응답하지 않습니다")).await;
        let moment = eventually("the figures are its own", async || {
            let moment = next(watch).await;
            (moment.screen.coverage == HouseCoverage::OwnOnly).then_some(moment)
        })
        .await;
        assert_eq!(moment.screen.instances.len(), 3, "the others are not taken for silent");
        assert!(moment.screen.instances.iter().all(|one| one.signs == SignsOfLife::Present));
        page.has(r#"data-part="own-only">다른 서버의 숫자를 지금 알 수 없어"#).await;
    }
    redis.restart_empty();
    for (watch, page) in &mut screens {
        is_whole(watch, 3).await;
        page.is_fine().await;
    }
    assert_agrees(&servers.each_ref(), &hall).await;
    for server in servers {
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_gone_or_silent_is_seen_in_a_box_office_in_which_nothing_happens() {
    let mut database = PostgresServer::start().await;
    let start = async || instance_over(database.url("postgres"), shared_redis(), Clock::System).await;
    let servers = [start().await, start().await, start().await];
    let hall = graded_hall(&servers[0], 2, 1).await;
    let operator = servers[0].operator().await;
    for round in 0..2 {
        let mut screens = screens(&servers, &hall, &operator).await;
        if round == 0 {
            database.pause();
        } else {
            database.stop();
        }
        for (watch, page) in &mut screens {
            let (moment, instance) = shows(watch, |kind| match kind {
                AttentionKind::DatabaseAway { instance } => Some(instance),
                _ => None,
            })
            .await;
            page.names(&format!("서버 {instance}에서 데이터베이스가 응답하지 않습니다")).await;
            assert_eq!(moment.screen.seats.counts.available, 6, "as they were");
            let later = next(watch).await;
            assert!(later.screen.seats.as_of < later.screen.at, "and the screen says when that was");
            page.has(r#"data-part="old-seats">좌석과 금액은 "#).await;
        }
        if round == 0 {
            database.resume();
        } else {
            database.start_again().await;
        }
        for (watch, page) in &mut screens {
            let moment = is_whole(watch, 3).await;
            assert_eq!(moment.screen.seats.as_of, moment.screen.at);
            page.is_fine().await;
        }
    }
    assert_agrees(&servers.each_ref(), &hall).await;
    for server in servers {
        server.stop().await;
    }
}
