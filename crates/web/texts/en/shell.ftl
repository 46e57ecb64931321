brand = Frontrow
skip = Skip to content
nav = Main menu
nav-mine = My bookings
nav-account = Account
nav-sign-in = Sign in
to-season = See all concerts
form-rate-limited = Too many requests
form-rate-limited-text = You keep your place in line.
form-again-seconds = { $seconds ->
    [one] Please try again in a second.
   *[other] Please try again in { $seconds } seconds.
}
form-again-minutes = Please try again in { $minutes } minutes.
footer = One line for everyone, and all enter in its order.
