//! The people of the simulation before three instances, each request at another one: what is counted of order and cap.

use super::{assert_books_in_order, instance};
use frontrow_rush::{InstanceChoice, LineCrowd, LineFigures, LinePlan};
use frontrow_testkit::servers::postgres::TestDatabase;
use std::time::Duration;

async fn come(choice: InstanceChoice) -> LineFigures {
    let database = TestDatabase::new().await;
    let (one, two, three) = (instance(&database).await, instance(&database).await, instance(&database).await);
    let mut sessions = Vec::new();
    for number in 0..60 {
        sessions.push(one.buyer(&format!("person-{number}")).await.secret().to_owned());
    }
    let crowd = LineCrowd {
        instances: vec![one.address, two.address, three.address],
        operator_session: one.operator().await.secret().to_owned(),
        sessions,
        plan: LinePlan {
            rush: Duration::from_secs(1),
            spread: Duration::from_secs(4),
            max_active: 4,
            visit: Duration::from_secs(1),
            choice,
            lasts: Duration::from_secs(15),
            ..LinePlan::of(60)
        },
    };
    let figures = crowd.come().await.unwrap();
    assert_books_in_order(&one.config).await;
    for server in [one, two, three] {
        server.stop().await;
    }
    figures
}

fn assert_order_and_cap_were_kept(figures: &LineFigures) {
    assert!(figures.joined > 0 && figures.came_in > 0, "visitors came in: {figures:?}");
    let never = (figures.inversions, figures.overtaken, figures.beyond_cap, figures.missed_present);
    assert_eq!(never, (0, 0, 0, 0), "{figures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_and_cap_hold_for_people_who_ask_another_instance_each_time() {
    assert_order_and_cap_were_kept(&Box::pin(come(InstanceChoice::Any)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_and_cap_hold_for_people_of_whom_each_asks_one_instance_and_no_number_ahead_rises() {
    let figures = Box::pin(come(InstanceChoice::Sticky)).await;
    assert_order_and_cap_were_kept(&figures);
    // One that does not answer on a busy machine is left for the next, which may be a moment behind.
    assert!(figures.ahead_rises == 0 || figures.repeated > 0, "{figures:?}");
}
