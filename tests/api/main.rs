//! The API of a whole server over real sockets, resource by resource, and the three flows of a sale.

mod flows;
mod payments;
mod queue;
mod reservations;
mod support;
