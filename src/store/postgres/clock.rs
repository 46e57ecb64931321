//! What time it is: the database's clock decides, so that all instances agree.

use crate::clock::Clock;

/// The time that a test gives, in microseconds; none where the database's clock is asked.
pub(super) fn given(clock: &Clock) -> Option<i64> {
    match clock {
        Clock::System => None,
        Clock::Manual(_) => Some(clock.now().micros()),
    }
}

/// The database's clock in microseconds at the start of the transaction, unless the parameter gives a time: what is
/// read with it is not older.
macro_rules! now {
    ($given:literal) => {
        concat!("coalesce(", $given, ", (extract(epoch FROM now()) * 1000000)::bigint)")
    };
}

pub(super) use now;
