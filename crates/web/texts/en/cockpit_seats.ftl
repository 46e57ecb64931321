seats-title = Seats
seats-add = Add seats
seats-none = This concert has no seats yet.
seats-all = Seats in all
seats-counts = By section and grade
seats-section = Section
seats-row = Row
seats-number = Number
seats-grade = Grade
seats-price = Price
seats-price-won = Price in won
seats-held = held
seats-blocked = blocked
seats-hint = Press a section to see it larger. Hold Shift and drag to choose an area, or press a second seat to choose a run.
seats-pick-tools = Choose many seats
seats-area = Draw an area
seats-whole-row = Whole row
seats-whole-section = Whole section
seats-clear = Clear the choice
seats-list = Choose from the list
seats-list-boxes = Tick seats, rows or sections, then choose what to do below.
seats-list-keys = The arrows move among the seats; the left one leads from a row’s first seat to “Whole row”. Space chooses a seat, Shift and Space a run in its row.
seats-acts = What to do with the chosen seats
seats-block = Block…
seats-free = Free…
seats-change = Change…
seats-remove = Remove…
seats-look = Details
seats-unchosen = No seats chosen.
seats-chosen = { $count } chosen ({ $states }): { $places }
seats-state-count = { $state } { $count }
seats-whole = { $place } (all { $count })
seats-more-places = { $count } more
seats-list-comma = ;{ " " }
seats-changed-meanwhile = { $place }: now { $state }.
seats-gone-meanwhile = Seats you had chosen are no longer in this hall.
seats-about = Chosen seats
seats-reason-is = Reason: { $reason }
seats-blocked-by = Blocked by { $name }, { $when }
seats-blocked-since = Blocked since { $when }
seats-ask-block = { $count ->
    [one] Block one seat?
   *[other] Block { $count } seats?
}
seats-do-block = { $count ->
    [one] Block one seat
   *[other] Block { $count } seats
}
seats-did-block = { $count ->
    [one] One seat is blocked.
   *[other] { $count } seats are blocked.
}
seats-block-means = Blocked seats can’t be bought until they’re freed. Buyers see at once that they’re not for sale.
seats-blocked-already = { $count ->
    [one] One of them is blocked already: it gets the new reason.
   *[other] { $count } of them are blocked already: they get the new reason.
}
seats-reason = Reason
seats-reason-dearer = Needed to raise the price of seats that are on sale. It stands in the log.
seats-reason-removed = Needed while the seats are on sale. It stands in the log.
seats-reason-freed = Not needed. What is written here stands in the log.
seats-ask-free = { $count ->
    [one] Free one seat?
   *[other] Free { $count } seats?
}
seats-do-free = { $count ->
    [one] Free one seat
   *[other] Free { $count } seats
}
seats-did-free = { $count ->
    [one] One seat is free.
   *[other] { $count } seats are free.
}
seats-free-means = Free seats can be bought as soon as the sale is open.
seats-ask-change = { $count ->
    [one] Change one seat?
   *[other] Change { $count } seats?
}
seats-do-change = { $count ->
    [one] Change one seat
   *[other] Change { $count } seats
}
seats-did-change = { $count ->
    [one] One seat is changed.
   *[other] { $count } seats are changed.
}
seats-change-means = What you leave as it stands stays. A field is empty if the seats differ in it. Holds and purchases keep the price they were made at.
seats-ask-remove = { $count ->
    [one] Remove one seat?
   *[other] Remove { $count } seats?
}
seats-do-remove = { $count ->
    [one] Remove one seat
   *[other] Remove { $count } seats
}
seats-did-remove = { $count ->
    [one] One seat is removed.
   *[other] { $count } seats are removed.
}
seats-remove-means = Removed seats are gone for good. To take seats off sale for a while, block them.
seats-left-out = Left out
seats-out-held = { $count ->
    [one] One seat is held
   *[other] { $count } seats are held
}
seats-out-sold = { $count ->
    [one] One seat is sold
   *[other] { $count } seats are sold
}
seats-out-free = { $count ->
    [one] One seat is free already
   *[other] { $count } seats are free already
}
seats-out-history = { $count ->
    [one] One seat was held before and can’t be removed: block it
   *[other] { $count } seats were held before and can’t be removed: block them
}
seats-out-gone = { $count ->
    [one] One chosen seat is no longer in this hall.
   *[other] { $count } chosen seats are no longer in this hall.
}
seats-nothing-left = No seats are left.
seats-back = Back to the seats
seats-refused-in-use = { $place } was held or sold meanwhile.
seats-refused-history = { $place } was held before and can’t be removed.
seats-refused-taken = { $place } exists already.
seats-gone-title = Some of the seats are no longer in this hall.
seats-nothing-done = Nothing was changed.
seats-some-done = { $done ->
    [one] One seat was changed before that.
   *[other] { $done } seats were changed before that.
}
seats-part-done = { $done } of { $count } seats are done.
seats-part-done-text = Send it again: what’s done stays done.
seats-faulty = Something in the form isn’t right. Nothing was changed.
seats-fault-reason = Give a reason of 1 to { $max } characters.
seats-fault-price = Give whole won from 0 to 1,000,000,000,000.
seats-fault-label = Use at most { $max } characters, on one line.
seats-fault-number = Use 1 to { $max } characters, on one line.
seats-fault-nothing = Change at least one field.
seats-rows = Rows
seats-ranges = Ranges of seats
seats-ranges-help = One range to a line: section, rows, numbers, grade, price. Rows and numbers are ranges, several with blanks between: A-C, 1-10 15-20.
seats-ranges-price = Without a price, a seat costs { $price }.
seats-ranges-example = Floor, A-C, 1-20, VIP, 180000
seats-file = Or a file
seats-file-help = CSV in UTF-8, with or without a first line that names the columns: section, row, number, grade, price. The seats of an import file (JSON) work too.
seats-look-over = Look it over
seats-preview = { $count ->
    [one] One seat would be added
   *[other] { $count } seats would be added
}
seats-do-add = { $count ->
    [one] Add one seat
   *[other] Add { $count } seats
}
seats-did-add = { $count ->
    [one] One seat is added.
   *[other] { $count } seats are added.
}
seats-nothing-added = Nothing was added.
seats-plan-faulty = The list has faults.
seats-plan-utf8 = The file isn’t UTF-8. Save it as “CSV UTF-8”.
seats-plan-place = Line { $line }, column { $column }
seats-plan-empty = No seats are in the list.
seats-plan-too-long = This has more than { $max } bytes.
seats-plan-too-many = At most { $max } seats can be added at once.
seats-plan-field-count = Give at least section, rows and numbers, and no more than { $columns } fields.
seats-plan-quotes = A quotation mark isn’t closed, or something follows it.
seats-plan-unknown-column = Name each column once: section, row, number, grade, price.
seats-plan-no-number-column = A column named number is needed.
seats-plan-range = Write a range as A-C or 1-20.
seats-plan-twice = A seat on this line is already on line { $line }.
seats-plan-json = The file can’t be read: { $why }
seats-plan-taken = { $count ->
    [one] One of these seats exists already: { $places }
   *[other] { $count } of these seats exist already: { $places }
}
seats-plan-both = Send ranges or a file, not both: empty the ranges, or leave out the file.
