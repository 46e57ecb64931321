//! Decodes rows into the domain's values, once for all databases: the columns have one order, and only the drivers'
//! types differ.

macro_rules! user_columns {
    () => {
        "user_id, name, email, role, created_at, updated_at, status, sign_in_epoch, signed_in_at"
    };
}

macro_rules! room_columns {
    () => {
        "room_id, max_active, admit_per_minute, gate, message, cursor, epoch, no_show_ppm, credit_ppm, credit_at, \
         updated_at, fence, opens_at, closes_at"
    };
}

macro_rules! concert_columns {
    () => {
        "concert_id, title, artist, venue, time_zone, concert_date, start_time, end_time, starts_at, base_price, \
         opens_at, closes_at, room_id, status, created_at, updated_at, ends_at, closing, status_reason, \
         refund_all_at, wound_up_at, opened_at"
    };
}

macro_rules! seat_columns {
    () => {
        "seat_id, concert_id, seat_number, price, status, reservation_id, blocked_reason, updated_at, let_go_by, \
         let_go_at, was_held, section, \"row\", number, grade"
    };
}

macro_rules! reservation_columns {
    () => {
        "reservation_id, user_id, concert_id, seat_id, seat_number, price, status, created_at, expires_at, \
         confirmed_at, closed_at"
    };
}

macro_rules! payment_columns {
    () => {
        "payment_id, user_id, reservation_id, amount, status, paid_at, refunded_at, created_at"
    };
}

macro_rules! point_columns {
    () => {
        "point_id, user_id, amount, version, last_updated, created_at"
    };
}

macro_rules! history_columns {
    () => {
        "history_id, user_id, amount, type, description, balance_after, version, payment_id, reference, created_at"
    };
}

macro_rules! debt_columns {
    () => {
        "debt_id, user_id, amount, reason, reference, status, created_at, settled_at"
    };
}

/// Makes a decoder for the columns of each table. `$get` is the driver's method that reads a column; `Of` and `Text`,
/// defined beside the call, are columns with an enum's text and with a text to parse.
macro_rules! row_readers {
    ($row:ty, $error:ty, $get:ident) => {
        fn word<T: EnumText>(row: &$row, column: usize) -> Result<T, $error> {
            row.$get::<_, Of<T>>(column).map(|Of(value)| value)
        }

        pub(super) fn time(row: &$row, column: usize) -> Result<Time, $error> {
            row.$get(column).map(Time::from_micros)
        }

        fn time_or_none(row: &$row, column: usize) -> Result<Option<Time>, $error> {
            Ok(row.$get::<_, Option<i64>>(column)?.map(Time::from_micros))
        }

        fn count(row: &$row, column: usize) -> Result<u32, $error> {
            Ok(row.$get::<_, i32>(column)?.unsigned_abs())
        }

        fn money(row: &$row, column: usize) -> Result<Money, $error> {
            row.$get(column).map(Money::new)
        }

        pub(super) fn user_id(row: &$row, column: usize) -> Result<UserId, $error> {
            row.$get(column).map(UserId)
        }

        pub(super) fn user(row: &$row) -> Result<User, $error> {
            Ok(User {
                user_id: user_id(row, 0)?,
                name: row.$get(1)?,
                email: row.$get(2)?,
                role: word(row, 3)?,
                status: word(row, 6)?,
                sign_in_epoch: row.$get(7)?,
                signed_in_at: time(row, 8)?,
                created_at: time(row, 4)?,
                updated_at: time(row, 5)?,
            })
        }

        pub(super) fn room(row: &$row) -> Result<Room, $error> {
            Ok(Room {
                room_id: RoomId::new(row.$get(0)?),
                max_active: row.$get(1)?,
                admit_per_minute: row.$get(2)?,
                gate: word(row, 3)?,
                message: row.$get(4)?,
                cursor: Position(row.$get(5)?),
                epoch: row.$get(6)?,
                no_show_ppm: row.$get(7)?,
                credit_ppm: row.$get(8)?,
                credit_at: time(row, 9)?,
                updated_at: time(row, 10)?,
                fence: Fence(row.$get(11)?),
                opens_at: time_or_none(row, 12)?,
                closes_at: time_or_none(row, 13)?,
            })
        }

        /// The row that columns make. Columns that contradict each other are an error of the status column.
        fn consistent<T>(row: &$row, status: usize, made: Result<T, ContradictoryColumns>) -> Result<T, $error> {
            made.or_else(|_| match row.$get::<_, Contradiction>(status)? {})
        }

        pub(super) fn token(row: &$row) -> Result<Token, $error> {
            let columns = TokenColumns {
                id: TokenId { room_id: RoomId::new(row.$get(0)?), position: Position(row.$get(1)?) },
                user_id: user_id(row, 2)?,
                status: word(row, 3)?,
                issued_at: time(row, 4)?,
                activated_at: time_or_none(row, 5)?,
                deadline: time_or_none(row, 6)?,
                expired_at: time_or_none(row, 7)?,
                end_reason: row.$get::<_, Option<Of<_>>>(8)?.map(|Of(reason)| reason),
                turns_passed: count(row, 9)?,
                holds: count(row, 10)?,
            };
            consistent(row, 3, columns.try_into())
        }

        pub(super) fn concert(row: &$row) -> Result<Concert, $error> {
            Ok(Concert {
                concert_id: ConcertId::new(row.$get(0)?),
                title: row.$get(1)?,
                artist: row.$get(2)?,
                venue: row.$get(3)?,
                time_zone: row.$get(4)?,
                concert_date: row.$get::<_, Text<_>>(5)?.0,
                start_time: row.$get::<_, Text<_>>(6)?.0,
                end_time: row.$get::<_, Text<_>>(7)?.0,
                starts_at: time(row, 8)?,
                base_price: money(row, 9)?,
                opens_at: time(row, 10)?,
                closes_at: time(row, 11)?,
                room_id: RoomId::new(row.$get(12)?),
                status: word(row, 13)?,
                created_at: time(row, 14)?,
                updated_at: time(row, 15)?,
                ends_at: time(row, 16)?,
                closing: word(row, 17)?,
                status_reason: row.$get(18)?,
                refund_all_at: time_or_none(row, 19)?,
                wound_up_at: time_or_none(row, 20)?,
                opened_at: time_or_none(row, 21)?,
            })
        }

        pub(super) fn seat(row: &$row) -> Result<Seat, $error> {
            let let_go = row
                .$get::<_, Option<uuid::Uuid>>(8)?
                .map(UserId)
                .zip(time_or_none(row, 9)?)
                .map(|(user_id, at)| LetGo { user_id, at });
            let reservation_id = row.$get::<_, Option<i64>>(5)?.map(ReservationId::new);
            let state = SeatState::from_columns(word(row, 4)?, reservation_id, row.$get(6)?, let_go);
            Ok(Seat {
                seat_id: SeatId::new(row.$get(0)?),
                concert_id: ConcertId::new(row.$get(1)?),
                seat_number: row.$get(2)?,
                price: money(row, 3)?,
                state: consistent(row, 4, state)?,
                updated_at: time(row, 7)?,
                was_held: row.$get(10)?,
                label: std::sync::Arc::new(SeatLabel {
                    section: row.$get(11)?,
                    row: row.$get(12)?,
                    number: row.$get(13)?,
                    grade: row.$get(14)?,
                }),
            })
        }

        /// Columns: section, row, number.
        pub(super) fn seat_place(row: &$row) -> Result<SeatPlace, $error> {
            Ok(SeatPlace { section: row.$get(0)?, row: row.$get(1)?, number: row.$get(2)? })
        }

        /// Columns: seat number, seat id, payment id.
        pub(super) fn remnant(row: &$row) -> Result<Remnant, $error> {
            Ok(Remnant {
                seat_number: row.$get(0)?,
                seat_id: SeatId::new(row.$get(1)?),
                payment_id: row.$get::<_, Option<i64>>(2)?.map(PaymentId::new),
            })
        }

        pub(super) fn reservation(row: &$row) -> Result<Reservation, $error> {
            let columns = ReservationColumns {
                reservation_id: ReservationId::new(row.$get(0)?),
                user_id: user_id(row, 1)?,
                concert_id: ConcertId::new(row.$get(2)?),
                seat_id: SeatId::new(row.$get(3)?),
                seat_number: row.$get(4)?,
                price: money(row, 5)?,
                status: word(row, 6)?,
                created_at: time(row, 7)?,
                expires_at: time(row, 8)?,
                confirmed_at: time_or_none(row, 9)?,
                closed_at: time_or_none(row, 10)?,
            };
            consistent(row, 6, columns.try_into())
        }

        pub(super) fn payment(row: &$row) -> Result<Payment, $error> {
            Ok(Payment {
                payment_id: PaymentId::new(row.$get(0)?),
                user_id: user_id(row, 1)?,
                reservation_id: ReservationId::new(row.$get(2)?),
                amount: money(row, 3)?,
                status: word(row, 4)?,
                paid_at: time(row, 5)?,
                refunded_at: time_or_none(row, 6)?,
                created_at: time(row, 7)?,
            })
        }

        pub(super) fn point(row: &$row) -> Result<Point, $error> {
            Ok(Point {
                point_id: PointId::new(row.$get(0)?),
                user_id: user_id(row, 1)?,
                amount: money(row, 2)?,
                version: row.$get(3)?,
                last_updated: time(row, 4)?,
                created_at: time(row, 5)?,
            })
        }

        pub(super) fn history(row: &$row) -> Result<PointEntry, $error> {
            Ok(PointEntry {
                history_id: HistoryId::new(row.$get(0)?),
                user_id: user_id(row, 1)?,
                amount: money(row, 2)?,
                kind: word(row, 3)?,
                description: row.$get(4)?,
                balance_after: money(row, 5)?,
                version: row.$get(6)?,
                payment_id: row.$get::<_, Option<i64>>(7)?.map(PaymentId::new),
                reference: row.$get(8)?,
                created_at: time(row, 9)?,
            })
        }

        pub(super) fn debt(row: &$row) -> Result<Debt, $error> {
            Ok(Debt {
                debt_id: DebtId::new(row.$get(0)?),
                user_id: user_id(row, 1)?,
                amount: money(row, 2)?,
                reason: row.$get(3)?,
                reference: row.$get(4)?,
                status: word(row, 5)?,
                created_at: time(row, 6)?,
                settled_at: time_or_none(row, 7)?,
            })
        }

        /// Columns: reservation, concert, title, seat, seat number, section, row, number.
        pub(super) fn ticket_place(row: &$row) -> Result<TicketPlace, $error> {
            Ok(TicketPlace {
                reservation_id: ReservationId::new(row.$get(0)?),
                concert_id: ConcertId::new(row.$get(1)?),
                title: row.$get(2)?,
                seat_id: SeatId::new(row.$get(3)?),
                seat_number: row.$get(4)?,
                place: SeatPlace { section: row.$get(5)?, row: row.$get(6)?, number: row.$get(7)? },
            })
        }

        /// Columns: seat number, section, row, number, grade, user's name, reservation, payment, time of payment.
        pub(super) fn door_line(row: &$row) -> Result<DoorLine, $error> {
            Ok(DoorLine {
                seat_number: row.$get(0)?,
                label: SeatLabel {
                    section: row.$get(1)?,
                    row: row.$get(2)?,
                    number: row.$get(3)?,
                    grade: row.$get(4)?,
                },
                name: row.$get(5)?,
                reservation_id: ReservationId::new(row.$get(6)?),
                payment_id: PaymentId::new(row.$get(7)?),
                paid_at: time(row, 8)?,
            })
        }

        /// Columns: concert, seat status, count.
        pub(super) fn seats_of_status(row: &$row) -> Result<(ConcertId, SeatStatus, i64), $error> {
            Ok((ConcertId::new(row.$get(0)?), word(row, 1)?, row.$get(2)?))
        }

        pub(super) fn audit(row: &$row) -> Result<AuditEntry, $error> {
            Ok(AuditEntry {
                audit_id: AuditId::new(row.$get(0)?),
                actor: row.$get::<_, Option<uuid::Uuid>>(1)?.map(UserId),
                action: row.$get(2)?,
                object: row.$get(3)?,
                detail: row.$get::<_, Text<serde_json::Value>>(4)?.0,
                created_at: time(row, 5)?,
            })
        }
    };
}

pub(super) use {
    concert_columns, debt_columns, history_columns, payment_columns, point_columns, reservation_columns, room_columns,
    row_readers, seat_columns, user_columns,
};
