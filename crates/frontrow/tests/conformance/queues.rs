//! The queues that every test runs on: the one in memory, and Redis with a namespace for each test.

use frontrow_clock::{Clock, Ids};
use frontrow_domain::{policy::Policy, time::Time};
use frontrow_line::{
    SoleInstance,
    redis::{Notice, RedisPeers, RedisSettings},
};
use frontrow_storage::{Store, memory::MemoryStore};
use frontrow_testkit::servers::redis::RedisServer;
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;
use uuid::Uuid;

const START: Time = Time::from_micros(1_900_000_000_000_000);

/// Runs every test on each queue.
macro_rules! every_queue {
    ($($name:ident),* $(,)?) => {
        mod memory_queue {

            $(
                #[tokio::test]
                async fn $name() {
                    crate::queue::$name(&crate::queues::sole()).await;
                }
            )*
        }

        mod redis_queue {
            use crate::queues::Namespace;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let (_server, urls) = crate::queues::server();
                    crate::queue::$name(&*Namespace::new(urls).alone().await).await;
                }
            )*
        }

        /// All of them on one cluster: what is done in a row takes one start of three servers.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn a_cluster_of_three_nodes_is_as_good_as_one_server() {
            use crate::queues::Namespace;
            use frontrow_testkit::servers::redis::RedisCluster;

            let cluster = RedisCluster::start();
            $(crate::queue::$name(&*Namespace::new(cluster.urls()).alone().await).await;)*
        }
    };
}

/// The run's server, or one of the test's own if none is named.
pub(crate) fn server() -> (Option<RedisServer>, Vec<String>) {
    if let Ok(url) = std::env::var("FRONTROW_TEST_REDIS") {
        return (None, vec![url]);
    }
    let server = RedisServer::start();
    let urls = vec![server.url()];
    (Some(server), urls)
}

/// The only instance, over a store that knows nothing of what is published.
pub(crate) fn sole() -> SoleInstance {
    SoleInstance::new(Arc::new(MemoryStore::new(Clock::manual(START), Policy::default(), 1)))
}

/// One box office's part of a Redis.
pub(crate) struct Namespace {
    settings: RedisSettings,
    office: Uuid,
    ids: Ids,
    pub(crate) clock: Clock,
}

impl Namespace {
    pub(crate) fn new(urls: Vec<String>) -> Self {
        let ids = Ids::from_os();
        let mut settings = RedisSettings::new(urls);
        // These tests stand for all instances.
        settings.warm_up = Duration::ZERO;
        // A loaded machine is no outage.
        settings.client.response_timeout = Duration::from_secs(5);
        Self { settings, office: ids.uuid(START), ids, clock: Clock::manual(START) }
    }

    /// A queue whose store knows nothing of what is published: its rows are not looked at.
    pub(crate) async fn alone(mut self) -> Arc<RedisPeers> {
        self.settings.refresh_every = Duration::from_hours(1);
        self.settings.refresh_down_every = Duration::from_hours(1);
        let store = MemoryStore::new(self.clock.clone(), Policy::default(), 1);
        self.instance(Arc::new(store)).await
    }

    /// One instance over this store.
    pub(crate) async fn instance(&self, store: Arc<dyn Store>) -> Arc<RedisPeers> {
        // Nobody listens: notices are dropped.
        let (notices, _) = mpsc::channel::<Notice>(1);
        let instance = self.ids.uuid(START);
        RedisPeers::start(self.settings.clone(), store, self.office, instance, self.clock.clone(), notices)
            .await
            .unwrap()
    }
}
