//! To be written.
/// A view.
pub struct RoomView;
