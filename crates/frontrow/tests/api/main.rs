//! The API of a whole server over real sockets, resource by resource, and the three flows of a sale.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on has failed its test")]

mod access;
mod accounts;
mod books;
mod concert_life;
mod concerts;
mod degraded;
mod demo;
mod documents;
mod edge;
mod errors;
mod flows;
mod health;
mod http_edge;
mod operator;
mod payments;
mod points;
mod queue;
mod race;
mod reservations;
mod season;
mod sessions;
mod users;
mod walls;
