//! The API of a whole server over real sockets, resource by resource, and the three flows of a sale.

mod concerts;
mod flows;
mod operator;
mod payments;
mod points;
mod queue;
mod reservations;
mod sessions;
mod support;
mod users;
