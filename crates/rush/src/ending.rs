//! The ways in which a visit ends.

/// How a buyer's visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum VisitEnding {
    /// With seats.
    Bought,
    /// With seats that were given back.
    Refunded,
    /// In line, having said so.
    LeftTheLine,
    /// In line, without a word.
    WentSilent,
    /// With a hold that was left to lapse.
    Lapsed,
    /// Without a seat: all were taken.
    NoSeat,
    /// Without a seat: too few points.
    NoPoints,
    /// Without a seat: the limit of seats for one user.
    TooManySeats,
    /// The token was not active any more.
    TokenLost,
    /// The sale is not open.
    NotOnSale,
    /// Something was refused that a buyer does not expect.
    Refused,
    /// No answer came.
    NoAnswer,
    /// The run was over.
    TimeUp,
}

impl VisitEnding {
    /// A word for reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bought => "bought",
            Self::Refunded => "refunded",
            Self::LeftTheLine => "left the line",
            Self::WentSilent => "went silent",
            Self::Lapsed => "let a hold lapse",
            Self::NoSeat => "found no seat",
            Self::NoPoints => "had too few points",
            Self::TooManySeats => "had as many seats as one may",
            Self::TokenLost => "lost the turn",
            Self::NotOnSale => "came when nothing was on sale",
            Self::Refused => "was refused",
            Self::NoAnswer => "got no answer",
            Self::TimeUp => "ran out of time",
        }
    }
}
