//! Combines flags, environment and file. The file's values become the defaults of the command line, so that there is
//! one way to read a setting and one place that knows its type.

use super::{
    Cli, Config, Database,
    servers::{MASK, masked},
};
use clap::{Arg, ArgAction, ArgMatches, CommandFactory, FromArgMatches, parser::ValueSource};
use frontrow_domain::policy::TopUpPolicy;
use std::{
    ffi::OsString,
    fmt::Write,
    path::{Path, PathBuf},
};

/// The options that `-h` shows; `--help` shows all.
const TO_BEGIN_WITH: [&str; 7] = ["config_file", "listen", "data", "demo", "database_url", "redis_url", "max_active"];
/// The option that a file cannot set.
const CONFIG_FILE: &str = "config_file";
/// The option whose value is never shown.
const SECRETS: [&str; 2] = ["service_key", "join_check_secret"];
/// The options that are addresses, whose passwords are never shown.
const URLS: [&str; 3] = ["database_url", "database_replica_url", "redis_url"];

/// A setting with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its name in a file.
    pub name: String,
    /// Its value as text; masked if it is a secret, empty if there is none.
    pub value: String,
    /// `flag`, the variable's name, the file's name, or `default`.
    pub origin: String,
    /// Its purpose.
    pub help: String,
}

/// Why the settings could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The command line or the environment; also the output of `--help` and `--version`.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// The file.
    #[error("{}: {reason}", file.display())]
    File {
        /// Which one.
        file: PathBuf,
        /// The mistake; names the key.
        reason: String,
    },
}

impl Cli {
    /// Reads the command line, the environment and the file that they name.
    ///
    /// # Errors
    /// One of them is wrong, or help was requested, which the error prints.
    pub fn load(args: impl IntoIterator<Item = OsString>) -> Result<Self, LoadError> {
        let args: Vec<OsString> = args.into_iter().collect();
        let mut command = command();
        let mut in_file = Vec::new();
        let file = file_named_in(&args);
        if let Some(file) = &file {
            for (name, values) in read_file(file)? {
                command = command.mut_arg(&name, |arg| arg.default_values(&values));
                in_file.push(name);
            }
        }
        let matches = command.clone().try_get_matches_from(args)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        cli.config.settings = command
            .get_arguments()
            .filter(|arg| !matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpLong | ArgAction::Version))
            .map(|arg| setting(arg, &matches, &in_file, file.as_deref()))
            .collect();
        cli.config.show_derived();
        Ok(cli)
    }
}

/// A file with secrets that other users can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadableSecret {
    /// Which file.
    pub path: PathBuf,
    /// Its permissions.
    pub mode: u32,
}

impl Config {
    /// The files with secrets that other users of the machine can read: the settings file if it has a password or the
    /// service key, and the file of the service key. The key file is checked when it is read.
    #[must_use]
    pub fn secrets_others_can_read(&self) -> Vec<ReadableSecret> {
        let is_in_file = |setting: &Setting| {
            let is_secret = SECRETS.contains(&setting.name.as_str()) || setting.value.contains(MASK);
            is_secret && self.config_file.as_ref().is_some_and(|file| setting.origin == file.display().to_string())
        };
        let settings = self.config_file.as_ref().filter(|_| self.settings.iter().any(is_in_file));
        let files = settings.into_iter().chain(&self.service_key_file);
        files.filter_map(|path| readable_by_others(path)).collect()
    }

    /// Shows the effective value of settings that depend on others.
    fn show_derived(&mut self) {
        let policy = match self.effective_top_up_policy() {
            TopUpPolicy::Open => "open",
            TopUpPolicy::Operator => "operator",
        };
        let key_file = match (&self.key_file, self.database()) {
            (None, Database::Postgres(_)) => "in the database".to_owned(),
            _ => self.key_path().display().to_string(),
        };
        let url = match self.database() {
            Database::Sqlite(path) => format!("sqlite:{}", path.display()),
            Database::Postgres(url) => url.to_string(),
        };
        for (name, value) in [("top_up_policy", policy.to_owned()), ("key_file", key_file), ("database_url", url)] {
            if let Some(setting) = self.settings.iter_mut().find(|setting| setting.name == name) {
                setting.value = value;
            }
        }
    }
}

#[cfg(unix)]
fn readable_by_others(path: &Path) -> Option<ReadableSecret> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o007 != 0).then(|| ReadableSecret { path: path.to_owned(), mode })
}

#[cfg(not(unix))]
fn readable_by_others(_: &Path) -> Option<ReadableSecret> {
    None
}

fn command() -> clap::Command {
    Cli::command().mut_args(|arg| {
        let hidden = !TO_BEGIN_WITH.contains(&arg.get_id().as_str());
        arg.global(true).hide_short_help(hidden)
    })
}

/// The file named by the flags or the environment. Mistakes are left for the real parse to report.
fn file_named_in(args: &[OsString]) -> Option<PathBuf> {
    let matches = command().ignore_errors(true).try_get_matches_from(args).ok()?;
    matches.get_one::<PathBuf>(CONFIG_FILE).cloned()
}

fn read_file(file: &Path) -> Result<Vec<(String, Vec<String>)>, LoadError> {
    let wrong = |reason: String| LoadError::File { file: file.to_owned(), reason };
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
    let command = command();
    let mut settings = Vec::with_capacity(table.len());
    for (name, value) in table {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_id().as_str() == name && name != CONFIG_FILE)
            .ok_or_else(|| wrong(unknown(&command, &name)))?;
        let values = texts_of(&value, arg).map_err(|reason| wrong(format!("{name}: {reason}")))?;
        check(arg, &values).map_err(|reason| wrong(format!("{name}: {reason}")))?;
        settings.push((name, values));
    }
    Ok(settings)
}

fn unknown(command: &clap::Command, name: &str) -> String {
    // Common mistakes: the flag's dashes, or a missing unit.
    let wanted = name.replace('-', "_");
    let near = command.get_arguments().map(|arg| arg.get_id().as_str()).find(|known| {
        *known != CONFIG_FILE && (*known == wanted || known.starts_with(&wanted) || wanted.starts_with(known))
    });
    match near {
        Some(near) => format!("{name}: there is no such setting; did you mean {near}?"),
        None => format!("{name}: there is no such setting; `frontrow config` lists them all"),
    }
}

fn texts_of(value: &toml::Value, arg: &Arg) -> Result<Vec<String>, String> {
    let is_flag = matches!(arg.get_action(), ArgAction::SetTrue);
    let is_list = matches!(arg.get_action(), ArgAction::Append);
    match value {
        toml::Value::Boolean(value) if is_flag => Ok(vec![value.to_string()]),
        _ if is_flag => Err(format!("expected true or false, found {}", value.type_str())),
        toml::Value::String(text) => Ok(vec![text.clone()]),
        toml::Value::Integer(number) => Ok(vec![number.to_string()]),
        toml::Value::Array(items) if is_list => items
            .iter()
            .map(|item| {
                item.as_str().map(str::to_owned).ok_or_else(|| format!("expected strings, found {}", item.type_str()))
            })
            .collect(),
        _ if is_list => Err(format!("expected a list of strings, found {}", value.type_str())),
        _ => Err(format!("expected a string or a whole number, found {}", value.type_str())),
    }
}

/// Checks the values by themselves, so that a mistake is reported as the file's.
fn check(arg: &Arg, values: &[String]) -> Result<(), String> {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return Ok(());
    }
    let probe =
        clap::Command::new("file").no_binary_name(true).arg(arg.clone().env(None::<&'static str>).global(false));
    let flag = arg.get_long().unwrap_or_default();
    let args = values.iter().map(|value| format!("--{flag}={value}"));
    probe.try_get_matches_from(args).map(|_| ()).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        first.trim_start_matches("error: ").to_owned()
    })
}

fn setting(arg: &Arg, matches: &ArgMatches, in_file: &[String], file: Option<&Path>) -> Setting {
    let name = arg.get_id().as_str();
    let values: Vec<_> = match matches.get_raw(name) {
        Some(values) => values.map(|value| value.to_string_lossy().into_owned()).collect(),
        None if matches!(arg.get_action(), ArgAction::SetTrue) => vec![matches.get_flag(name).to_string()],
        None => Vec::new(),
    };
    let origin = match matches.value_source(name) {
        Some(ValueSource::CommandLine) => "flag".to_owned(),
        Some(ValueSource::EnvVariable) => arg.get_env().unwrap_or_default().to_string_lossy().into_owned(),
        _ if in_file.iter().any(|known| known == name) => file.unwrap_or(Path::new("file")).display().to_string(),
        _ => "default".to_owned(),
    };
    let value = match values.join(",") {
        value if value.is_empty() => value,
        _ if SECRETS.contains(&name) => MASK.to_owned(),
        value if URLS.contains(&name) => masked(&value),
        value => value,
    };
    Setting { name: name.to_owned(), value, origin, help: arg.get_help().map(ToString::to_string).unwrap_or_default() }
}

/// Settings as a table of four columns.
pub(super) fn table(settings: &[Setting]) -> String {
    let width =
        |of: fn(&Setting) -> &str| settings.iter().map(|setting| of(setting).chars().count()).max().unwrap_or(0);
    let (name, value, origin) = (width(|s| &s.name), width(|s| &s.value), width(|s| &s.origin));
    let mut table = String::new();
    for setting in settings {
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "{:name$}  {:value$}  {:origin$}  {}",
            setting.name, setting.value, setting.origin, setting.help
        );
    }
    table
}
