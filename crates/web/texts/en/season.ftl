season-title = This season
season-about = Pick a concert and join its line: seats are chosen in the order of the line.
season-empty = No concerts yet
season-empty-next = New concerts appear here.
find = Search
find-what = Concert, artist, venue
find-month = Month
find-all-months = All months
find-all-venues = All venues
find-on-sale = On sale now only
find-found = { $count ->
    [one] { $count } concert
   *[other] { $count } concerts
}
find-clear = Clear
find-nothing = No concert matches
find-nothing-next = Use fewer words, or clear the filters.
pages = Pages
pages-before = Earlier concerts
pages-after = More concerts
price-from = from { $price }
price-range = { $lowest } to { $highest }
state-on-sale = On sale · { $left } left
state-few-left = Almost gone · { $left } left
state-all-held = No free seats · held seats may come back
state-sold-out = Sold out · refunded seats may come back
state-no-seats = Seats to be announced
state-closed = Sale closed
state-postponed = Postponed
state-cancelled = Cancelled
state-over = Over
state-opens-on = The sale opens on { $moment }
state-opens-in = Opens in { $length }
state-opens-now = Opens any moment
