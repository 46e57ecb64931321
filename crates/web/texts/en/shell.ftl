brand = Frontrow
skip = Skip to content
nav = Main menu
nav-mine = My bookings
nav-account = Account
nav-sign-in = Sign in
to-season = See all concerts
footer = One line for everyone: first come, first served.
