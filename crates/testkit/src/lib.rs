//! The helpers shared by the tests and benchmarks of Frontrow. Nothing that is shipped depends on this crate.
//!
//! - [`server::Server`]: a whole box office in the test's process, and [`client::Client`], which calls its API.
//! - [`fixture::Fixture`]: a store with a clock that stands still and the steps of a sale as short calls.
//! - [`program::Program`]: the real program in processes of its own.
//! - [`mod@bench`]: what the benchmarks share.
//! - [`servers`]: real `PostgreSQL`, `Redis` and `PgBouncer` servers, shared by a run or owned by a test.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on has failed its test")]
#![expect(
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::must_use_candidate,
    reason = "the callers are tests: a panic is how a helper fails them"
)]

pub mod bench;
pub mod browser;
pub mod client;
pub mod events;
pub mod fixture;
pub mod hall;
pub mod house;
pub mod program;
pub mod server;
pub mod servers;

pub use browser::{Browser, LoadedPage, form_body};
pub use client::{ApiAnswer, ApiCall, Client, id, items};
pub use events::{EventReader, StreamEvent};
pub use hall::Hall;
pub use server::{PRICE, Server, draft, range, settings};

use frontrow_domain::time::Time;
use std::time::{Duration, Instant};

/// The start of the manual clocks: 2027-01-15T08:00:00Z.
pub const START: Time = Time::from_micros(1_800_000_000_000_000);
/// How long a test waits for something that must come. It says nothing about how fast that is: a machine that is busy
/// with other work takes its time, and only what never comes has failed.
pub const PATIENCE: Duration = Duration::from_mins(4);
/// A concert with seats and a room of its own, as `frontrow concert import` reads it.
pub const TOUR: &str = include_str!("tour.json");

/// A picture of this size, as PNG.
pub fn picture(width: u32, height: u32) -> Vec<u8> {
    let shade = |at: u32| u8::try_from(at % 256).unwrap();
    let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([shade(x), shade(y), shade(width)]));
    let mut png = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

const POLL: Duration = Duration::from_millis(10);

/// The code that an authenticator app with this key shows at a time.
pub fn app_code(key: &str, now: frontrow_domain::time::Time) -> String {
    let secret = totp_rs::Secret::try_from_base32(key.replace(' ', "")).unwrap();
    let app = totp_rs::Builder::new().with_algorithm(totp_rs::Algorithm::SHA1).with_secret(secret).build().unwrap();
    app.generate(u64::try_from(now.micros() / 1_000_000).unwrap()).to_string()
}

/// Asks again and again until there is an answer, for at most [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "still not: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// The same for what has no answer but that it is so.
pub async fn wait_until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    eventually(what, async || is_so().await.then_some(())).await;
}
