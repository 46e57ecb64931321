factor = Second factor
factor-lead = With a second factor, a stolen password isn’t enough: signing in also takes a code from an app on your phone.
factor-off = You sign in with your password alone.
factor-begin = Set up a second factor
factor-later = Later
factor-never = Don’t ask me again
factor-scan = 1. Add this account to your app
factor-scan-text = Scan the picture with an authenticator app, such as Google Authenticator, Microsoft Authenticator, 1Password or Aegis.
factor-picture = Picture for the camera of the authenticator app
factor-open-app = Open the app on this device
factor-key = Or type this key into the app:
factor-confirm = 2. Enter the code that it shows
factor-confirm-text = From then on signing in takes a code. You’re signed out on every other device.
factor-code = Six-digit code
factor-confirm-submit = Turn it on
factor-code-wrong-text = Enter the code that the app shows now. If it isn’t taken either, check that the time of your phone is set automatically.
factor-wrong-password = The password is wrong
factor-wrong-password-text = Please type it again. Nothing was changed.
factor-on = On since { $since } (Korea time)
factor-recovery-left = { $count ->
    [0] You have no recovery codes left. Make new ones.
    [one] You have one recovery code left.
   *[other] You have { $count } recovery codes left.
}
factor-renew = New recovery codes
factor-renew-text = The old ones stop working.
factor-renew-submit = Make new codes
factor-remove = Turn it off
factor-remove-text = Signing in then takes the password alone.
factor-remove-submit = Turn it off
factor-codes = Keep your recovery codes
factor-codes-text = Each one signs you in once if your phone is lost or broken. They’re shown only now: print them, or put them into your password manager.
factor-copy = Copy
factor-copied = Copied
factor-print = Print
factor-codes-kept = I’ve kept them
factor-copy-failed = Copying didn’t work. Print the codes or write them down.
