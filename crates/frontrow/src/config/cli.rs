//! The program's commands and their help.

use super::{Config, RehearseOptions, ServerUrl};
use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "frontrow",
    version,
    about = "A concert box office: a fair waiting line, seats never sold twice, payment in one transaction",
    after_help = "\
Examples:
  frontrow serve --demo                      try it: seven concerts, two sign-ins, free points
  frontrow serve --data /var/lib/frontrow    run a box office
  FRONTROW_HOLD_SECONDS=600 frontrow config  what would apply, and where each setting comes from

Every option can also be set in the environment (FRONTROW_ and its name) or in a TOML file
(--config FILE; the option's name with underscores). A flag beats the environment, which beats the file.
`frontrow --help` lists them all, `-h` the ones to begin with."
)]
pub struct Cli {
    /// The settings.
    #[command(flatten)]
    pub config: Config,
    /// The command.
    #[command(subcommand)]
    pub command: CliCommand,
}

/// The command to run.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Run the box office until it is stopped
    #[command(after_help = "\
Examples:
  frontrow serve --demo
  frontrow serve --listen 0.0.0.0:8080 --data /var/lib/frontrow --service-key-file /etc/frontrow/service.key

SIGTERM or Ctrl-C stops it: requests that are in flight are finished first (--drain-seconds).")]
    Serve,
    /// Bring the database up to this version's schema, or say that it is
    #[command(after_help = "\
Example:
  frontrow migrate --data /var/lib/frontrow
  frontrow migrate --from sqlite:/var/lib/frontrow/frontrow.db --database-url postgres://app@db/frontrow

`serve` does the same when it starts. A database of a newer version is left alone and refused.

With --from it moves a box office from a SQLite file into an empty PostgreSQL database: every token,
payment, history entry, session and kept answer, and the keys that sign tokens (--key-file, or
keys.toml beside the file), in one transaction, and compares every row. Stop the server first.")]
    Migrate {
        /// Move the box office that is in this file: sqlite:FILE
        #[arg(long, value_name = "URL")]
        from: Option<ServerUrl>,
        /// Into this empty database: postgres://… [default: the database of the settings, which shows no password to others]
        #[arg(long, value_name = "URL", requires = "from")]
        to: Option<ServerUrl>,
    },
    /// Manage operators, who run the sale, and viewers, who see it
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Manage accounts: lock, unlock, password, reset link, second factor, erase
    #[command(subcommand)]
    User(UserCommand),
    /// Manage concerts
    #[command(subcommand)]
    Concert(ConcertCommand),
    /// Manage the keys that queue tokens are signed with
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print the public keys of passes, by which the edge of another site verifies them
    #[command(after_help = "\
Examples:
  frontrow jwks --data /var/lib/frontrow > jwks.json
  frontrow jwks --data /var/lib/frontrow --pem > /etc/haproxy/frontrow-pass.pem
  frontrow jwks --data /var/lib/frontrow --pem --number 2 > /etc/haproxy/frontrow-pass-before.pem

The same set is served at /.well-known/jwks.json. The keys stand in the order of their age, the newest
first: also one that does not sign yet, so that the edges have it before the first pass of it. Run it
after `frontrow keys rotate`, and reload the edges.")]
    Jwks {
        /// One key as PEM, in place of the set as JSON
        #[arg(long)]
        pem: bool,
        /// Which key: 1 is the newest, 2 the one before it; where there are fewer, the oldest
        #[arg(long, value_name = "NUMBER", requires = "pem", default_value_t = 1,
            value_parser = clap::value_parser!(u8).range(1..=4))]
        number: u8,
    },
    /// Manage the waiting lines
    #[command(subcommand)]
    Line(LineCommand),
    /// Let a crowd come to a copy of a concert on this machine, and say how its sale would go
    #[command(after_help = "\
Examples:
  frontrow rehearse --concert 3 --data /var/lib/frontrow
  frontrow rehearse --concert 3 --people 5000 --visit-seconds 90 --minutes 10 --report rehearsal.json

The copy has the concert's seats, prices, room and settings, in a box office of its own in a scratch
folder, over this machine's own address; the folder is removed at the end. The real database is only
read. Refused while a sale is open, or opens within 20 minutes. It runs in real time, behind all other
processes, for as many minutes as you say, at most 10; if the seats last longer, it says when they
would be sold at the pace of the last minute. Ctrl-C ends the sale early.")]
    Rehearse(Box<RehearseOptions>),
    /// Check the books: seats, reservations, payments and points must agree
    #[command(after_help = "\
Example:
  frontrow check --data /var/lib/frontrow

Exits with 0 where everything agrees, and with 1 and a list where it does not. Changes nothing.")]
    Check,
    /// Verify the record of an opening draw, and draw again; needs no database and no network
    #[command(after_help = "\
Examples:
  frontrow verify-draw draw.json
  frontrow verify-draw draw.json --entry 4711

The file is the record that a box office publishes after a draw. Says of each check whether it holds,
and shows the first ten in the order drawn. Compare what it says was published before the draw with
what you saw then: the file alone cannot show that.

Exits with 0 where the record is true (and has the entry), with 1 where it is not, and with 2 where
the file is no record.")]
    VerifyDraw {
        /// The record, as JSON
        file: PathBuf,
        /// Also say the rank of this entry
        #[arg(long, value_name = "NUMBER")]
        entry: Option<i64>,
    },
    /// Print every setting, its value and where it comes from; secrets are masked
    #[command(after_help = "\
Example:
  frontrow config --config /etc/frontrow.toml")]
    Config,
}

/// Commands about operators.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Add an operator or a viewer, or with --promote make an account one
    #[command(after_help = "\
Examples:
  frontrow operator add --email ops@example.com --name Ops --password-file password.txt
  pass show frontrow | frontrow operator add --email ops@example.com --name Ops
  frontrow operator add --email kim@example.com --promote --password-file password.txt
  frontrow operator add --email kim@example.com --promote --keep-password
  frontrow operator add --email press@example.com --name Press --viewer --password-file password.txt

The password is the first line of the file or of standard input; it is never an argument,
where every other user of the machine could read it.

An address that has an account is refused without --promote: anybody can have registered it.
With --promote the account is an operator's (or with --viewer a viewer's), its password is the one given here, and all its
sessions end; a --name replaces the one that it has. --keep-password leaves the password that
its owner chose: only for an owner whom you know.

A viewer sees the sale and all accounts, and changes nothing. To make a viewer an operator or an
operator a viewer, use --promote too.")]
    Add {
        /// The address to sign in with
        #[arg(long)]
        email: String,
        /// The name; with --promote it may be left out, and the account keeps its name
        #[arg(long, required_unless_present = "promote")]
        name: Option<String>,
        /// Make the account that has this address an operator's, or with --viewer a viewer's
        #[arg(long)]
        promote: bool,
        /// Add a viewer, who sees the sale and changes nothing, in place of an operator
        #[arg(long)]
        viewer: bool,
        /// With --promote: leave the account's password as it is
        #[arg(long, requires = "promote", conflicts_with = "password_file")]
        keep_password: bool,
        /// File whose first line is the password [default: standard input]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Make an operator or a viewer a buyer again; all sessions of the account end
    #[command(after_help = "\
Example:
  frontrow operator remove --email ops@example.com")]
    Remove {
        /// The address to sign in with
        #[arg(long)]
        email: String,
    },
}

/// Commands about accounts.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Lock an account: its sessions end, and signing in is refused
    #[command(after_help = "\
Example:
  frontrow user lock --email kim@example.com

A server that runs knows it in about a second; one over PostgreSQL without Redis in half a minute.")]
    Lock {
        /// The account's address
        #[arg(long)]
        email: String,
    },
    /// Unlock an account
    Unlock {
        /// The account's address
        #[arg(long)]
        email: String,
    },
    /// Set the password of an account; all its sessions end
    #[command(after_help = "\
Example:
  pass show kim | frontrow user password --email kim@example.com")]
    Password {
        /// The account's address
        #[arg(long)]
        email: String,
        /// File whose first line is the password [default: standard input]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Print a secret that sets a new password once, within 30 minutes
    #[command(after_help = "\
Example:
  frontrow user reset-link --email kim@example.com

Give the secret to the owner of the account alone. It is sent to POST /api/v1/password-resets
together with the new password. A new secret replaces the one before.")]
    ResetLink {
        /// The account's address
        #[arg(long)]
        email: String,
    },
    /// Remove the second factor of an account whose owner has lost it; all its sessions end
    #[command(after_help = "\
Example:
  frontrow user reset-factor --email ops@example.com

For an operator or a viewer who has neither the authenticator app nor a recovery code. Make sure who
asks: from then on the password alone signs in, until another second factor is set up.")]
    ResetFactor {
        /// The account's address
        #[arg(long)]
        email: String,
    },
    /// Erase an account for ever: name, address, password; the books stay
    #[command(after_help = "\
Examples:
  frontrow user erase --email kim@example.com
  frontrow user erase --email kim@example.com --force

Refused while the account has points, or a ticket for a concert to come or to refund.
With --force these stay under the id of the erased account, where they cannot be used:
pay them out first. Refused, with --force too, while the account has an open debt: an
operator collects it or writes it off first.")]
    Erase {
        /// The account's address
        #[arg(long)]
        email: String,
        /// Erase it although it has points or tickets
        #[arg(long)]
        force: bool,
    },
}

/// Commands about concerts.
#[derive(Debug, Subcommand)]
pub enum ConcertCommand {
    /// Add a concert and its seats from a JSON file
    #[command(after_help = "\
Example:
  frontrow concert import spring-tour.json

The file is a list of concerts. `concert` is what POST /api/v1/operator/concerts takes, `seats` a
list of what POST /api/v1/operator/concerts/{id}/seats takes:

  [
    {
      \"concert\": {
        \"title\": \"Midnight Tide in Busan\", \"artist\": \"Midnight Tide\", \"venue\": \"Dalmaji Theatre, Busan\",
        \"time_zone\": \"Asia/Seoul\", \"concert_date\": \"2027-03-01\",
        \"start_time\": \"20:00:00\", \"end_time\": \"22:30:00\",
        \"base_price\": 120000, \"opens_at\": \"2027-02-01T11:00:00Z\", \"own_room_max_active\": 100
      },
      \"seats\": [
        { \"range\": { \"from\": 1, \"to\": 50, \"section\": \"Floor\", \"row\": \"A\", \"grade\": \"VIP\", \"price\": 180000 } },
        { \"seats\": [ { \"row\": \"B\", \"number\": \"1\" }, { \"row\": \"B\", \"number\": \"1A\" } ] }
      ]
    }
  ]

closes_at, own_room_max_active, details, section, row, grade and price may be left out. Section, row and
printed number together are unique in a concert. It may be run beside
a server.")]
    Import {
        /// The file
        file: PathBuf,
    },
    /// Print who sits where as CSV
    #[command(after_help = "\
Example:
  frontrow concert door-list 3 > door-list.csv

The sold seats in their order, in UTF-8 with a byte order mark, for spreadsheets. It may be run
beside a server.")]
    DoorList {
        /// The concert's number
        concert_id: i64,
    },
}

/// Commands about keys.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum KeysCommand {
    /// Make a new key that signs from the next start on
    #[command(after_help = "\
Example:
  frontrow keys rotate --data /var/lib/frontrow

The three keys before it go on verifying, so no place is lost. A server that runs signs with
the old key until it is restarted. Keys in PostgreSQL (where no --key-file is named) need no restart:
every instance takes the new key up in seconds and signs with it from a minute on. After a leak rotate four times: then every old token is refused,
and a user who joins again gets the same place.")]
    Rotate,
}

/// Commands about lines.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum LineCommand {
    /// Refuse every queue token that was signed before, after a backup was restored
    #[command(after_help = "\
Example:
  frontrow line renew --data /var/lib/frontrow

Places that were given after the backup will be given again, to others: the tokens of then must not
be good for them. Who is in the backup keeps the place, and gets a new token by joining again.
A server over a SQLite file must be stopped; instances that share Redis learn of it in seconds, and
one without Redis must be restarted.")]
    Renew,
}
