//! Reads a row's columns one after the other, in the order of its SELECT. Both drivers have the same readers; only their
//! types differ.

/// Adds the readers to a driver's `Columns`, which has `value` for a column of the driver's own types. `Of`,
/// `Text` and `Contradiction`, defined beside the call, are columns with an enum's text, with a text to parse, and with
/// no value.
macro_rules! column_readers {
    ($error:ty) => {
        pub(crate) fn id<T>(&mut self, id: impl FnOnce(i64) -> T) -> Result<T, $error> {
            self.value().map(id)
        }

        pub(crate) fn id_or_none<T>(&mut self, id: impl FnOnce(i64) -> T) -> Result<Option<T>, $error> {
            Ok(self.value::<Option<i64>>()?.map(id))
        }

        pub(crate) fn user_id(&mut self) -> Result<UserId, $error> {
            self.value().map(UserId)
        }

        pub(crate) fn user_id_or_none(&mut self) -> Result<Option<UserId>, $error> {
            Ok(self.value::<Option<Uuid>>()?.map(UserId))
        }

        pub(crate) fn time(&mut self) -> Result<Time, $error> {
            self.value().map(Time::from_micros)
        }

        pub(crate) fn time_or_none(&mut self) -> Result<Option<Time>, $error> {
            Ok(self.value::<Option<i64>>()?.map(Time::from_micros))
        }

        pub(crate) fn money(&mut self) -> Result<Money, $error> {
            self.value().map(Money::new)
        }

        pub(crate) fn count(&mut self) -> Result<u32, $error> {
            Ok(self.value::<i32>()?.unsigned_abs())
        }

        /// The row that columns make.
        ///
        /// # Errors
        /// The columns contradict each other. Drivers make their errors themselves, so a column is read that has no
        /// value.
        pub(crate) fn consistent<T>(&mut self, made: Result<T, ContradictoryColumns>) -> Result<T, $error> {
            made.or_else(|_| {
                self.next = 0;
                match self.value::<Contradiction>()? {}
            })
        }

        /// A value of an enum.
        pub(crate) fn word<T: EnumText>(&mut self) -> Result<T, $error> {
            self.value().map(|Of(value)| value)
        }

        pub(crate) fn word_or_none<T: EnumText>(&mut self) -> Result<Option<T>, $error> {
            Ok(self.value::<Option<Of<T>>>()?.map(|Of(value)| value))
        }

        pub(crate) fn delivery_error_or_none(&mut self) -> Result<Option<DeliveryError>, $error> {
            Ok(self.value::<Option<String>>()?.map(|text| DeliveryError::new(&text)))
        }

        /// A value that is stored as its text.
        pub(crate) fn parsed<T: FromStr<Err: StdError + Send + Sync + 'static>>(&mut self) -> Result<T, $error> {
            self.value().map(|Text(value)| value)
        }
    };
}

pub(super) use column_readers;
