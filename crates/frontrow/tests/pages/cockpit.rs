//! The pages for operators.

mod home;
