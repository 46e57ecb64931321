cockpit = Box office
cockpit-concerts = Concerts
cockpit-shop = Shop
cockpit-no-concerts = No concerts yet.
cockpit-view-only = This account only looks on. It can’t change anything.
cockpit-concert = Concert
cockpit-of-concert = This concert
cockpit-none-coming = No concerts are coming. Past ones are among all concerts.
