//! The pages for operators.

mod factor;
mod home;
