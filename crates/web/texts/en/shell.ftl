brand = Frontrow
skip = Skip to content
nav = Main menu
nav-mine = My bookings
nav-account = Account
nav-sign-in = Sign in
footer = First come, first served: one line for everybody.
