//! The pages for operators.

mod concerts;
mod desk;
mod factor;
mod home;
mod orders;
mod ready;
mod rehearsal;
mod seats;
mod twice;
