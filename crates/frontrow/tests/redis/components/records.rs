//! What the leader of a line keeps, and an instance that takes the line up.

use super::{
    HOUSE,
    heartbeats::{HeartbeatFixture, SILENCE, all_but},
};
use frontrow_domain::{line::Fence, policy::Policy, time::Span};
use frontrow_line::{Leadership, Peers as _};

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_alone_keeps_a_line_and_an_instance_that_takes_it_up_knows_the_silent_tokens() {
    let office = HeartbeatFixture::start().await;
    let policy = Policy { dormant_after: SILENCE, ..Policy::default() };
    let (leader, other) = (office.instance(1).await, office.instance(2).await);
    let record = |instance: &frontrow_line::redis::RedisPeers| instance.line_record(HOUSE, office.clock.now(), &policy);
    assert_eq!(record(&leader), None, "it does not lead yet");
    let standing = leader.lead(&[(HOUSE, Fence(0))], Span::from_secs(600)).await;
    assert!(matches!(standing[..], [Leadership::Leader(_)]), "{standing:?}");
    // Given that tokens ask at either instance, and the others at none.
    office.later(100);
    office.poll(&leader, &[1, 4]);
    office.poll(&other, &[9]);
    let silent = all_but(&[1, 4, 9]);
    office.wait_unresponsive(&leader, &silent).await;
    assert_eq!(record(&other), None, "it does not lead");
    office.store.keep_line_records(record(&leader).into_iter().collect()).await.unwrap();
    // When another instance starts, then nothing is heard of the same tokens, though it has heard of none itself.
    office.later(1);
    let new = office.instance(3).await;
    office.wait_unresponsive(&new, &silent).await;
    // When one of them asks at another instance.
    office.poll(&other, &[2]);
    office.wait_unresponsive(&new, &all_but(&[1, 2, 4, 9])).await;
}
