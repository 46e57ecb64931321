//! The sale: concerts, their seats, the reservations of seats and the payments for them.

mod concert;
mod details;
mod payment;
mod preparation;
mod rehearsal;
mod reservation;
mod seat;
mod stop;

pub use concert::{
    Closing, Concert, ConcertStatus, Fold, Hour, LATE_SALES, LINE_KEPT, LocalHours, NoMoment, RefundTime, local_moment,
    zone_name,
};
pub use details::{
    AgeRating, ConcertDetails, DESCRIPTION_LEN_MAX, DETAIL_LEN_MAX, DOORS_MINUTES, DetailsChange, NoPosterTag,
    POSTER_LEN_MAX, POSTER_SIDE_MAX, Poster, PosterMark, PosterTag, RUNNING_MINUTES,
};
pub use payment::{Payment, PaymentStatus};
pub use rehearsal::{CLEAR_BEFORE, ENDS_BEFORE, RehearsalField, RehearsalObstacle, RehearsalSetup};
pub use reservation::{Reservation, ReservationColumns, ReservationState, ReservationStatus};
pub use seat::{
    CONCERT_CANCELLED, LetGo, NewSeat, REFUNDED_AFTER_SALE, Seat, SeatAction, SeatChange, SeatLabel, SeatPlace,
    SeatState, SeatStatus,
};
pub use stop::{Harm, Stops};
