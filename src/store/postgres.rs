//! The store in `PostgreSQL`: any number of instances share one database.

mod rows;
