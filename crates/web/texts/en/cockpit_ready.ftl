ready-title = Before the opening
ready-looked = Checked at { $moment }
ready-again = Check again
ready-all-good = Everything that can be seen from here is ready.
ready-open = { $count ->
    [one] { $count } thing to look at.
   *[other] { $count } things to look at.
}
ready-good = Ready
ready-look = Look at it
ready-bad = Not ready
ready-unknown = Can’t be seen from here
ready-opening = Opening
ready-seats = Seats and prices
ready-cap = Waiting room
ready-speed = Pace
ready-message = Message
ready-details = What buyers read
ready-sign-ins = Sign-ins
ready-clock = Clock
ready-database = Database
ready-instances = Servers
ready-disk = Disk
ready-backup = Backup
ready-opens = Opens { $moment }, in { $length }.
ready-is-open = Open since { $moment }.
ready-no-sale = No sale will open: the closing time has passed, or the sale was closed, postponed or cancelled.
ready-seats-found = { $seats ->
    [one] One seat
   *[other] { $seats } seats
} for sale, { $blocked } blocked.
ready-seats-free = These grades have seats at no charge: { $grades }
ready-cap-found = { $cap ->
    [one] One person chooses seats at a time
   *[other] Up to { $cap } people choose seats at once
}, of { $seats ->
    [one] one seat
   *[other] { $seats } seats
} for sale.
ready-paused = The line is paused: no turn is offered.
ready-speed-rate = { $rate } turns a minute: { $length } until every seat could be sold, if each buyer takes one.
ready-speed-cap = No rate is set. If every buyer takes one seat and all the time there is, all seats take { $length }.
ready-speed-none = The waiting room lets no one in.
ready-no-message = People in line see no message.
ready-details-found = Poster, description, age rating, running time and contact are there.
ready-details-missing = Missing: { $what }
ready-missing-poster = poster
ready-missing-description = description
ready-missing-age = age rating
ready-missing-length = running time
ready-missing-contact = contact of the organiser
ready-sign-ins-rate = { $instances ->
    [one] This server checks about { $count } passwords a minute.
   *[other] The { $instances } servers check about { $count } passwords a minute, if they are alike.
}
ready-sign-ins-people = { $people ->
    [one] If one person signs in at the opening, it takes { $length }.
   *[other] If { $people } people sign in at the opening, the last waits { $length }.
}
ready-sign-ins-none = No password could be checked in time.
ready-sign-ins-session = A sign-in lasts { $length }.
ready-clock-machine = The sale goes by this machine’s clock: { $moment }.
ready-clock-held = The sale goes by { $moment }. This machine’s clock differs from it by { $ms } ms.
ready-clock-database = The sale goes by the database’s clock: { $moment }. This machine’s differs from it by { $ms } ms.
ready-database-file = SQLite on this machine. A write was possible within { $ms } ms.
ready-database-server = PostgreSQL. A write was possible within { $ms } ms.
ready-database-away = The database didn’t take a write within two seconds.
ready-alone = One server. Redis isn’t needed.
ready-redis-away = Redis can’t be reached. The sale would go on, with places in line up to a second old.
ready-redis-full = Redis has no memory left. The sale would go on, with places in line up to a second old.
ready-instances-found = { $count ->
    [one] One server, and Redis works.
   *[other] { $count } servers, and Redis works.
}
ready-instances-silent = { $count } servers are there. { $silent } stopped without saying so.
ready-instances-mixed = { $count } servers run { $versions } versions of the program.
ready-disk-found = { $free } MiB free. The data take { $data } MiB.
ready-disk-elsewhere = The data are on the database’s server. Its disk can’t be seen from here.
ready-backup-unseen = Frontrow makes no backup and doesn’t know where others put theirs.
ready-backup-found = The newest is from { $moment }, { $length } ago.
ready-backup-missing = There’s none in the folder of backups.
ready-backup-unreadable = The folder of backups can’t be read.
ready-backup-said = You said that there’s a backup.
ready-backup-made = A backup was made and checked
ready-do-nothing = Nothing, if the sale was to open by then.
ready-do-opening = Set the opening and closing times, or have the sale go on.
ready-do-seats = Add seats, or free blocked ones.
ready-do-prices = Give them a price, if they aren’t meant to be free.
ready-do-gate = Open the line before the opening.
ready-do-cap = More people than seats would choose at once, and most would find nothing. Lower “Inside at once”.
ready-do-cap-none = Let people in: raise “Inside at once” above 0.
ready-do-speed = The sale would need more than an hour. Raise the rate if that’s too long.
ready-do-message = Say what people should know while they wait.
ready-do-details = Add what buyers ask for most.
ready-do-sign-ins = Ask buyers to sign in before the opening: the line may be joined early. More servers check more passwords.
ready-do-clock = Have a time service set the machine’s clock.
ready-do-database = Look at the database, its disk and its load. The operations guide says what each error means.
ready-do-redis = Get Redis back, or give it memory.
ready-do-silent = Look at that machine, and start the server again.
ready-do-versions = Finish the upgrade before the opening.
ready-do-disk = Free space: at least 1 GiB, and twice the data.
ready-do-disk-elsewhere = Look at it there.
ready-do-backup = Make one, and check the copy. The operations guide has the commands.
ready-do-backup-folder = Let the server read the folder, or correct the setting “backup_folder”.
ready-to-room = To the sale
ready-to-seats = To the seats
ready-to-concert = To the concert
ready-to-poster = To the poster
ready-to-details = To the details
ready-checker = Check of new places
ready-checker-well = { $address } is asked about each new place in line. As far as this server has asked, it answers.
ready-checker-open = { $address } gives no answer. New places are given without it.
ready-checker-closed = { $address } gives no answer. New places are refused until it does.
ready-do-checker = Look at that program, or change “join_check_fails”. The log says what went wrong.
