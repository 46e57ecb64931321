line-house = Waiting to book
line-ahead = Ahead of you
line-unit = { $n ->
    [one] person
   *[other] people
}
line-next = You’re next
line-next-text = We’ll call you as soon as there’s room.
line-bar = How far the line has moved
line-wait-soon = Less than a minute
line-wait-minutes = About { $n } min to go
line-wait-minutes-range = About { $from }–{ $to } min to go
line-wait-hours = About { $n } h to go
line-wait-hours-range = About { $from }–{ $to } h to go
line-wait-paused = Entry is paused for the moment. Your place is safe, and we’ll carry on from here.
line-wait-opens = The sale opens on { $when }. From then on we call everyone in turn.
line-wait-not-open = The sale hasn’t opened yet. Once it does, we call everyone in turn.
line-wait-closed = Nothing is on sale at the moment. If the sale opens again, we call everyone in this order.
line-wait-lobby-opens = The sale opens on { $when }. The order is drawn then.
line-wait-lobby = The order is drawn when the sale opens.
line-wait-drawing = The order is being drawn. This takes a moment.
line-wait-measuring = We’ll know how long once the line has moved a little
line-wait-sold-out = We can’t say how long: it depends on refunded seats
line-outlook-likely = Seats are likely to be left when your turn comes.
line-outlook-possible = Seats may be left when your turn comes, or may not.
line-outlook-unlikely = Seats are unlikely to be left when your turn comes.
line-outlook-sold-out = All seats are sold right now. Refunded seats go on sale again.
line-seen-at = As of { $hour } · you never move back
line-seen-now = Just checked · you never move back
line-seen-ago = Checked { $n } s ago · you never move back
line-seen-again = Reconnecting · your place is safe
line-seen-offline = You’re offline · your place is safe, and we’ll pick up once you’re back
line-seen-stale = We can’t see your exact place right now · it’s safe, and we’ll check again soon
line-seen-gone = Your place is safe · we’re opening it again
line-message = From the box office
line-lobby = You’re in the draw
line-lobby-text = Everyone who is here before the sale opens has the same chance: the order is drawn at the opening. Coming earlier gives no advantage, and whoever comes later waits behind. You don’t have to do anything until then.
line-lobby-draw = How the draw works, and how to check it
line-position = Your number
line-joined = Joined at
line-seats = Seats left
line-total = In the line
line-seats-soon = Not on sale yet
line-seats-left = { $n ->
    [one] { $n } seat
   *[other] { $n } seats
}
line-seats-held = All held
line-seats-sold = Sold out
line-seats-none = Coming soon
line-seats-postponed = Postponed
line-keep = Close this page or switch off your phone: your place stays. Sign in on another device and you’ll see the same place. Keep the page open when your turn comes near: if we can’t reach you then, we call the next person first.
line-alarm = Turn on sound and alerts
line-alarm-on = On. We’ll sound and alert you when it’s your turn.
line-alarm-denied = Sound is on. Alerts are blocked in your browser’s settings.
line-alarm-sound = Sound is on. This browser shows no alerts, so keep this page in view.
line-alarm-none = This browser can neither sound nor alert here. Watch this page when your turn comes near.
line-reload = Check now
line-leave = Leave the line
line-tab-ahead = { $n } ahead
line-tab-turn = It’s your turn!
line-said-ahead = { $n } ahead of you
line-said-turn = It’s your turn. Go in now and choose your seats.
line-turn = It’s your turn
line-turn-left = Time left to go in
line-turn-text = If you don’t make it in time, you can wait again at the front of the line.
line-turn-text-last = If you don’t make it in time, your place is gone and you start again at the end of the line.
line-until = Until
line-claim = Choose your seats
line-enter = Enter the shop
line-enter-left = Time left in the shop
line-enter-text = Please finish in the shop before it runs out. Then we call the next person.
line-front-title = Wait your turn at { $shop }
line-front-text = Many people want to come in at once. Take a number, and we’ll call everyone in turn.
line-full = It’s full inside.
line-full-text = Your turn is safe, and you’re next by the order of claims. Keep this page open, or press the button again within a minute.
line-active = You’re in
line-active-left = Time left to choose seats
line-active-text = After that you can’t choose more seats. You can pay for each seat you hold until its own time is up. Keep this page or the seats open until then.
line-missed = You missed your turn
line-missed-text = Press the button and you wait again at the front of the line. If you don’t before the time given, your place is gone.
line-return = Wait again at the front
line-dormant = Your turn came while you were away
line-dormant-text = We’re putting you back at the front of the line. One moment, please.
line-ended = This place has ended
line-ended-text = You booked, left the line, or ran out of time.
line-ended-paid = You’re booked
line-ended-paid-text = Your seats are under My bookings.
line-ended-left = You’ve left the line
line-ended-expired = Your time ran out
line-ended-expired-text = If you held seats that weren’t paid for, they have been released.
line-ended-missed = You missed your turn, and this place has ended
line-ended-over = The line for this concert has ended
line-ended-over-text = The concert was cancelled or is over, so no more turns will come.
line-ended-removed = The box office took you out of the line
line-ended-removed-text = If you think this is a mistake, please contact the box office.
line-blocked-until = The block lasts until { $when }.
line-blocked-back = Back
line-to-tickets = See your tickets
line-to-concert = Back to the concert
line-join-again = Join the line again
line-join-again-text = If you join again, you start at the end of the line.
line-all-held = Others are choosing all the seats that are left
line-all-held-text = Seats that aren’t paid for in time come back.
line-sold-out = Sold out for now
line-sold-out-text = Refunded seats go to the line, in order. You can wait or leave.
line-closed = The sale is closed
line-closed-text = If the sale opens again, we call everyone in this order.
line-postponed = The concert is postponed
line-postponed-text = Nothing is sold until there’s a new date. The order of the line stays.
line-cancelled = The concert is cancelled
line-cancelled-text = No more tickets are sold. Seats you paid for can be refunded.
line-over = This concert is over
line-over-text = No more tickets are sold.
line-leave-title = Leave the line?
line-leave-ahead = { $n ->
    [one] { $n } person is ahead of you.
   *[other] { $n } people are ahead of you.
}
line-leave-text = You lose your place. If you join again, you start at the end of the line.
line-leave-active = You also can’t pay for seats you hold any more.
line-leave-yes = Leave the line
line-stay = Keep waiting
line-renewed = Your place in line is safe
line-renewed-text = This address can’t be used any more. Sign in with the account that joined the line, and you carry on from the same place.
line-renewed-sign-in = Sign in and carry on
join-work-title = One moment, please
join-work-text = Many people are joining. So that one machine can’t take the places of many people, your device does a short calculation first.
join-work-working = Calculating. This takes a few seconds, and then you join by yourself.
join-work-progress = Progress of the calculation
join-work-done = Done. You’re joining now.
join-work-failed = Your browser couldn’t do the calculation. Join with the button below.
join-work-wait = { $seconds ->
    [0] Press the button to join.
    [one] Press the button after { $seconds } second to join. If you press it sooner, you’re told how long it still takes.
   *[other] Press the button after { $seconds } seconds to join. If you press it sooner, you’re told how long it still takes.
}
