//! The API of a whole server over real sockets, resource by resource, and the three flows of a sale.

#![expect(clippy::unwrap_used, reason = "a helper that cannot go on has failed its test")]

mod access;
mod account_forms;
mod account_pages;
mod accounts;
mod books;
mod caching;
mod concert_life;
mod concert_pages;
mod concerts;
mod cookies;
mod cross_origin;
mod dates;
mod degraded;
mod demo;
mod details;
mod documents;
mod errors;
mod flows;
mod hall_page;
mod health;
mod house;
mod http_edge;
mod letters;
mod metrics;
mod operator;
mod outbox;
mod payments;
mod points;
mod preconditions;
mod problem_pages;
mod queue;
mod race;
mod raw;
mod refusal_texts;
mod requests;
mod reservations;
mod season;
mod second_factor;
mod sessions;
mod site_rooms;
mod streams;
mod unread_bodies;
mod users;
mod walls;
