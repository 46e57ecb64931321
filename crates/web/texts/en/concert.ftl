poster-of = Poster of { $title }
buy-title = Tickets
opens-at = The sale opens on { $moment }.
countdown-day = d
countdown-open = The sale is open
join-line = Join the line
join-line-note = Your place never moves back. It stays when you close the page, and it’s the same on every device.
see-hall = See the seats
add-to-calendar = Add to calendar
next-opens = You can join the line before the sale opens. Seats are chosen in the order of the line.
next-on-sale = Join the line: when it’s your turn, you choose your seats and pay.
next-few-left = Few seats are left. They may be gone before your turn.
next-all-held = All seats are held by others right now. Seats that aren’t paid for come back within minutes.
next-sold-out = Every seat is sold. Refunded seats go to the line, in order.
next-no-seats = The seats haven’t been announced yet. Please look again later.
next-closed = The sale is closed. Your tickets remain valid.
concert-preparing = Tickets aren’t on sale yet.
next-postponed = The concert moves to another day. Your seats stay yours, and you can get a full refund until the new date is set.
next-cancelled = The concert doesn’t take place. You can get a full refund at any time.
next-over = The concert is over.
prices-title = Prices
prices-grade = Grade
prices-price = Price
prices-left = Seats
prices-fee = No fees. The price you see is all you pay.
grade-any = Standard
grade-left = { $left } left
grade-none-left = Sold out
grade-none-free = None free now
grade-seats = { $seats ->
    [one] { $seats } seat
   *[other] { $seats } seats
}
about-title = About
facts-title = Good to know
fact-when = When
fact-venue = Venue
fact-artist = Artist
fact-address = Address
fact-doors = Doors open
fact-running = Length
fact-age = Age
running = { $length } with interval
age-all = All ages
age-from = { $age } and older
concert-hall-title = Free seats by section
hall-section = Section
hall-note = Free seats / all seats
hall-more = See the seats for the other sections.
rules-title = Rules
rule-seats = { $seats ->
    [one] One seat for one person.
   *[other] Up to { $seats } seats for one person.
}
rule-hold = Seats you choose are held for you for { $length }: pay within that time.
rule-fee = No fees, neither to book nor to get a refund.
organiser-title = Organiser
back-to-cockpit = Back to this concert in the box office
