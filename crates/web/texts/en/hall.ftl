hall-title = Choose seats
hall-steps = Steps
hall-step-line = Line
hall-step-seats = Seats
hall-step-pay = Payment
hall-choose-heading = Choose your seats
hall-study-heading = The hall
hall-lead = { $seats ->
    [one] One ticket each. The seat you choose is held for { $length }.
   *[other] Up to { $seats } tickets each. The seats you choose are held for { $length }.
}
hall-study-lead = This is for looking around.
hall-waiting = You’re in line. When it’s your turn, you choose your seats here.
hall-turn = It’s your turn. Go in from the waiting page, and choose your seats here.
hall-full-house = { $seats ->
    [one] You have the one ticket that one person may have.
   *[other] You have the { $seats } tickets that one person may have.
}
hall-time-left = Time left to choose seats
hall-time-until = You can choose seats until { $when }.
hall-time-180 = 3 minutes left to choose seats.
hall-time-60 = 1 minute left to choose seats.
hall-time-ends = The time to choose seats is over.
hall-time-over = The time to choose seats is over. Seats that you hold can still be paid for until their own time is up.
hall-to-place = See my place
hall-to-concert = About the concert
hall-map = Seating plan
hall-map-help = The plan and the list below do the same.
hall-zoom-in = Zoom in
hall-zoom-out = Zoom out
hall-zoom-fit = Show the whole hall
hall-tools = Move the plan
hall-old = The connection is lost: this is how it was a moment ago. We’re reconnecting.
hall-legend = Grades and signs
hall-list-heading = Choose from the list
hall-study-list-heading = Look through the list
hall-list-help = By section, row and seat.
hall-list-keys = The arrow keys move from seat to seat.
hall-noscript = Scripts are off. To keep your turn, this page reloads every minute and clears your ticks.
hall-next-rows = Show the next rows
hall-hold = Hold for { $length }
hall-empty = There are no seats yet.
hall-tray = Held seats
hall-tray-empty = You hold no seats yet.
hall-within = left to pay
hall-until = Held until { $when }.
hall-total = { $count ->
    [one] Total for { $count } ticket
   *[other] Total for { $count } tickets
}
hall-pay = Go to payment
hall-release = Release
hall-release-of = Release { $place }
hall-no-fee = No fees
hall-at-180 = 3 minutes left to pay.
hall-at-60 = 1 minute left to pay.
hall-over = Time is up. The seats have been released.
hall-refused-held = Somebody else has taken { $place }. It’s held until { $when }.
hall-refused-sold = { $place } is already sold.
hall-refused-blocked = { $place } isn’t for sale.
hall-refused-mine = You already hold { $place }.
hall-refused-cooling = You released { $place } a moment ago: others can take it first until { $when }.
hall-refused-limit = { $seats ->
    [one] One person may have one ticket for a concert. Nothing was held.
   *[other] One person may have { $seats } tickets for a concert. Nothing was held.
}
hall-nothing-held = The other seats you chose aren’t held either.
hall-offers = Nearby, in the same grade
hall-offer-together = side by side
hall-no-offers = No seat of this grade is free right now. Have a look at another grade.
hall-offer-hold = Hold { $places } for { $length }
hall-form-none = Choose a seat first. Nothing was held.
hall-form-many = { $seats ->
    [one] You can choose one seat at once. Nothing was held.
   *[other] You can choose { $seats } seats at once. Nothing was held.
}
hall-form-seats = A chosen seat isn’t one of this concert’s. Nothing was held.
hall-form-again = The form wasn’t right, and nothing was held. Please choose again on this page.

hall-row = row { $name }
hall-number = seat { $name }
hall-between = ,{ " " }
hall-seat = { $place }, { $grade } { $price }, { $state }
hall-free = free
hall-held = held by somebody else
hall-sold = sold
hall-blocked = not for sale
hall-mine = yours
hall-chosen = chosen
hall-money = ₩{ $sum }
hall-count = { $grade } { $count }
hall-none = no seats left
hall-whole = The hall
hall-seats = Seats
hall-stage = STAGE
hall-hint = Press a section to see it larger.
hall-unpicked = { $limit ->
    [one] You can choose one seat.
   *[other] You can choose up to { $limit } seats.
}
hall-picked = { $count } · { $total } · { $places }
hall-limit = { $limit ->
    [one] You can choose one seat. Remove it first.
   *[other] You can choose up to { $limit } seats. Remove one first.
}
hall-taken = { $place } can’t be chosen now.
hall-lost = { $place } is no longer free and has been removed from your selection.
hall-yours = { $place } is yours already.
