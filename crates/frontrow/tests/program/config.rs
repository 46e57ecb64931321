//! Settings: where they come from, which one wins, and how mistakes are reported.

use frontrow::config::{Cli, Config, Setting};
use frontrow_domain::{policy::TopUpPolicy, time::Span};
use std::{ffi::OsString, io::Write, os::unix::fs::PermissionsExt, process::Command};
use tempfile::NamedTempFile;

fn load(args: &[&str]) -> Result<Config, String> {
    let args = std::iter::once("frontrow").chain(args.iter().copied()).map(OsString::from);
    Cli::load(args).map(|cli| cli.config).map_err(|error| error.to_string())
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn load_file(text: &str) -> Result<Config, String> {
    let file = file(text);
    load(&["--config", file.path().to_str().unwrap(), "serve"])
}

fn setting<'a>(config: &'a Config, name: &str) -> &'a Setting {
    config.settings.iter().find(|setting| setting.name == name).unwrap()
}

/// A help, or what the guide says instead: without marks, with settings by their names.
fn plain(text: &str) -> String {
    let text = text.replace('`', "").replace("[traces](#traces)", "traces");
    let words = text
        .split(' ')
        .map(|word| word.strip_prefix("--").map_or_else(|| word.to_owned(), |flag| flag.replace('-', "_")));
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_guides_table_of_settings_says_what_the_help_says() {
    let row = |line: &'static str| {
        let (name, rest) = line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | ")?;
        let (default, meaning) = rest.split_once(" | ")?;
        Some((name, default.trim_matches('`'), meaning))
    };
    let rows: Vec<_> = include_str!("../../../../docs/operations.md").lines().filter_map(row).collect();
    for setting in load(&["serve"]).unwrap().settings {
        let name = setting.name.as_str();
        let (_, default, meaning) =
            rows.iter().find(|row| row.0 == name).unwrap_or_else(|| panic!("no row for {name}"));
        assert_eq!(plain(meaning), plain(&setting.help), "{name}");
        assert!(default.is_empty() || *default == setting.value, "{name}: {default}, not {}", setting.value);
    }
}

#[test]
fn the_help_of_the_import_shows_a_file_that_can_be_imported() {
    let help = load(&["concert", "import", "--help"]).unwrap_err();
    let (from, to) = (help.find("\n  [\n").unwrap(), help.find("\n  ]\n").unwrap());
    let concerts = frontrow_service::drafts::read_file(&help[from..to + 4]).unwrap();
    concerts[0].concert.check().unwrap();
    let seats = concerts[0].seats.iter().flat_map(|part| part.check().unwrap());
    assert_eq!(seats.count(), 52);
}

#[test]
fn the_defaults_are_the_documented_ones_and_valid() {
    let config = load(&["serve"]).unwrap();
    config.validate().unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.policy().hold, Span::from_secs(300));
    assert_eq!(
        config.policy(),
        frontrow_domain::policy::Policy { top_up_policy: TopUpPolicy::Operator, ..Default::default() }
    );
    assert_eq!(config.policy().refund_cutoff, Span::from_secs(86_400));
    assert_eq!(config.policy().top_up_policy, TopUpPolicy::Operator);
    assert_eq!(config.key_path(), config.data.join("keys.toml"));
    assert!(config.trusted_proxies.is_empty());
    assert_eq!(config.retention().idle_accounts, None, "no account is erased");
    assert_eq!(setting(&config, "hold_seconds").origin, "default");
}

#[test]
fn a_flag_beats_the_file_and_stands_before_or_after_the_command() {
    let file = file("hold_seconds = 60\nmax_active = 7\ndemo = true\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n");
    let path = file.path().to_str().unwrap();
    for args in [
        ["--config", path, "--hold-seconds", "61", "serve"],
        ["serve", "--config", path, "--hold-seconds", "61"],
        ["--config", path, "serve", "--hold-seconds", "61"],
    ] {
        let config = load(&args).unwrap();
        assert_eq!((config.hold_seconds, config.max_active, config.demo), (61, 7, true), "{args:?}");
        assert_eq!(config.trusted_proxies.len(), 2);
        assert_eq!(setting(&config, "hold_seconds").origin, "flag");
        assert_eq!(setting(&config, "max_active").origin, path);
        assert_eq!(setting(&config, "demo").value, "true");
        assert_eq!(setting(&config, "batch_max").origin, "default");
    }
}

#[test]
fn the_environment_beats_the_file_and_is_beaten_by_a_flag() {
    let file = file("hold_seconds = 60\nmax_active = 70\nidle_seconds = 80\n");
    let output = Command::new(env!("CARGO_BIN_EXE_frontrow"))
        .args(["config", "--idle-seconds", "82"])
        .env("FRONTROW_CONFIG", file.path())
        .env("FRONTROW_MAX_ACTIVE", "71")
        .env("FRONTROW_IDLE_SECONDS", "81")
        .env("FRONTROW_SERVICE_KEY", "a-service-key-that-is-long-enough-1")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let row = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().take(3).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("hold_seconds"), ["hold_seconds", "60", file.path().to_str().unwrap()]);
    assert_eq!(row("max_active"), ["max_active", "71", "FRONTROW_MAX_ACTIVE"]);
    assert_eq!(row("idle_seconds"), ["idle_seconds", "82", "flag"]);
    assert_eq!(row("service_key "), ["service_key", "********", "FRONTROW_SERVICE_KEY"]);
    assert!(!text.contains("a-service-key"), "{text}");
}

#[test]
fn mistakes_in_a_file_name_their_key() {
    for (text, expected) in [
        ("hold_second = 60", "hold_second: there is no such setting; did you mean hold_seconds?"),
        ("hold-seconds = 60", "did you mean hold_seconds?"),
        ("colour = 'red'", "colour: there is no such setting"),
        ("config_file = 'x'", "config_file: there is no such setting"),
        ("hold_seconds = 'five'", "hold_seconds: invalid value 'five'"),
        ("hold_seconds = -1", "hold_seconds: invalid value '-1'"),
        ("hold_seconds = 1.5", "hold_seconds: expected a string or a whole number, found float"),
        ("hold_seconds = true", "hold_seconds: expected a string or a whole number, found boolean"),
        ("demo = 'yes'", "demo: expected true or false, found string"),
        ("trusted_proxies = [1]", "trusted_proxies: expected strings, found integer"),
        ("trusted_proxies = ['nowhere']", "trusted_proxies: invalid value 'nowhere'"),
        ("top_up_policy = 'anyone'", "top_up_policy: invalid value 'anyone'"),
        ("listen = 8080", "listen: invalid value '8080'"),
        ("otlp_endpoint = 'collector:4318'", "otlp_endpoint: invalid value 'collector:4318'"),
        ("[limits]\nhold_seconds = 1", "limits: there is no such setting"),
        ("hold_seconds =", "hold_seconds"),
    ] {
        let error = load_file(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(load(&["--config", "/no/such/file", "serve"]).unwrap_err().contains("/no/such/file"));
}

#[test]
fn everything_that_contradicts_itself_is_said_at_once() {
    let config = load(&[
        "serve",
        "--hold-seconds=0",
        "--top-up-min=10",
        "--top-up-max=5",
        "--service-key=short",
        "--batch-max=501",
        "--otlp-one-in=0",
        "--session-hours=48",
        "--keep-idle-accounts-days=2",
        "--log=a=b=c",
    ])
    .unwrap();
    let error = config.validate().unwrap_err().to_string();
    let kept = "keep_idle_accounts_days must be longer";
    for expected in
        ["hold_seconds", "top_up_min", "service_key", "batch_max", "otlp_one_in", kept, "log is not a filter"]
    {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(!format!("{config:?}").contains("short"), "a secret shows itself in no log");
}

#[test]
fn times_that_no_client_could_keep_are_refused_with_the_reason() {
    for (args, expected) in [
        (vec!["--dormant-after-seconds=5"], "dormant_after_seconds must be at least 40: clients in line"),
        (vec!["--dormant-after-seconds=39"], "dormant_after_seconds must be at least 40"),
        (vec!["--dormant-limit-seconds=60"], "dormant_limit_seconds must not be less than dormant_after_seconds"),
        (vec!["--claim-window-seconds=1", "--offer-lead-seconds=0"], "claim_window_seconds must be from 20"),
        (vec!["--claim-window-seconds=3601"], "keep others waiting"),
        (vec!["--recall-window-seconds=0"], "recall_window_seconds must be at least 60: a buyer"),
        (vec!["--idle-seconds=36"], "idle_seconds must be at least 40: active clients"),
        (vec!["--active-limit-seconds=299"], "active_limit_seconds must not be less than hold_seconds: a turn"),
        (vec!["--hold-seconds=600", "--active-limit-seconds=80"], "idle_seconds must not be more than active_limit"),
        (vec!["--hold-seconds=1"], "hold_seconds must be at least 10: a person"),
        (vec!["--offer-lead-seconds=60"], "offer_lead_seconds must be less than claim_window_seconds"),
    ] {
        let config = load(&[&["serve"], args.as_slice()].concat()).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    // The least that may be set, all of it at once.
    load(&[
        "serve",
        "--dormant-after-seconds=40",
        "--dormant-limit-seconds=40",
        "--claim-window-seconds=20",
        "--recall-window-seconds=60",
        "--idle-seconds=40",
        "--active-limit-seconds=40",
        "--hold-seconds=10",
    ])
    .unwrap()
    .validate()
    .unwrap();
    // The program says it before it opens anything.
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_frontrow"))
        .args(["serve", "--dormant-after-seconds=5", "--claim-window-seconds=1", "--data"])
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("dormant_after") && said.contains("claim_window"), "{said}");
    assert!(!folder.path().join("data").exists(), "nothing was made");
}

#[test]
fn addresses_show_no_password_wherever_they_come_from() {
    let file = file("redis_url = 'redis://:s3cret-two@cache'\n");
    let output = Command::new(env!("CARGO_BIN_EXE_frontrow"))
        .args(["config", "--database-replica-url", "postgres://app:s3cret-three@replica/frontrow", "--config"])
        .arg(file.path())
        .env("FRONTROW_DATABASE_URL", "postgres://app:s3cret-one@db/frontrow")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for shown in ["postgres://app:********@db/frontrow", "postgres://app:********@replica", "redis://:********@cache"] {
        assert!(text.contains(shown), "{shown} is not in {text}");
    }
    assert!(text.contains("in the database"), "{text}");
    let help = Command::new(env!("CARGO_BIN_EXE_frontrow"))
        .args(["serve", "--help", "--config"])
        .arg(file.path())
        .env("FRONTROW_DATABASE_URL", "postgres://app:s3cret-one@db/frontrow")
        .output()
        .unwrap();
    let config = load(&["serve", "--database-url", "postgres://app:s3cret-one@db/frontrow"]).unwrap();
    for said in [text, String::from_utf8(help.stdout).unwrap(), format!("{config:?}")] {
        assert!(!said.contains("s3cret"), "{said}");
    }
}

#[test]
fn servers_that_do_not_fit_together_are_refused() {
    let postgres = "--database-url=postgres://app:s3cret@db/frontrow";
    for (args, expected) in [
        (vec!["--redis-url=redis://cache"], "redis_url needs a database_url of PostgreSQL"),
        (vec!["--database-url=sqlite:box.db", "--redis-url=redis://cache"], "redis_url needs"),
        (vec!["--database-url=sqlite:"], "database_url must be"),
        (vec!["--database-url=host=db password=s3cret"], "database_url must be"),
        (vec!["--database-replica-url=postgres://replica/x"], "database_replica_url needs"),
        (vec![postgres, "--redis-url=memcached://cache"], "redis_url must begin"),
        (vec![postgres, "--database-statement-timeout-ms=7000"], "database_statement_timeout_ms"),
        (vec![postgres, "--database-lock-timeout-ms=4000"], "database_lock_timeout_ms"),
        (vec![postgres, "--redis-ca-file=ca.pem"], "redis_ca_file needs a redis_url"),
    ] {
        let config = load(&[&["serve"], args.as_slice()].concat()).unwrap();
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("s3cret"), "{args:?}: {error}");
    }
    for redis in [
        "redis://a",
        "rediss://a",
        "redis+sentinel://a,b/0?master=m",
        "redis://a,redis://b",
        "redis-cluster://a",
        "rediss-cluster://a,b",
    ] {
        load(&["serve", postgres, &format!("--redis-url={redis}")]).unwrap().validate().unwrap();
    }
    let elsewhere = load(&["serve", "--database-url=sqlite:/srv/box.db"]).unwrap();
    elsewhere.validate().unwrap();
    assert_eq!(elsewhere.database_path(), std::path::Path::new("/srv/box.db"));
}

#[test]
fn a_demo_lets_users_top_up_unless_a_setting_forbids_it() {
    let demo = load(&["serve", "--demo"]).unwrap();
    assert_eq!(demo.effective_top_up_policy(), TopUpPolicy::Open);
    assert_eq!(setting(&demo, "top_up_policy").value, "open");
    let strict = load(&["serve", "--demo", "--top-up-policy", "operator"]).unwrap();
    assert_eq!(strict.effective_top_up_policy(), TopUpPolicy::Operator);
}

#[test]
fn the_service_key_comes_from_its_file() {
    let key = "0123456789abcdef0123456789abcdef";
    let good = file(&format!("{key}\nsecond line"));
    let config = load(&["serve", "--service-key-file", good.path().to_str().unwrap()]).unwrap();
    assert_eq!(config.load_service_key().unwrap().unwrap().expose(), key);
    let short = file("0123456789");
    let config = load(&["serve", "--service-key-file", short.path().to_str().unwrap()]).unwrap();
    assert!(config.load_service_key().is_err());
    assert!(load(&["serve"]).unwrap().load_service_key().unwrap().is_none());
}

#[test]
fn a_file_with_a_secret_that_all_can_read_is_named() {
    let with_mode = |file: &NamedTempFile, mode| {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let secret = file("database_url = \"postgres://frontrow:a-password@db/frontrow\"\n");
    let harmless = file("database_url = \"postgres://frontrow@db/frontrow\"\nhold_seconds = 60\n");
    let key = file("0123456789abcdef0123456789abcdef");
    let key_path = key.path().to_str().unwrap();
    for (mode, is_named) in [(0o600, false), (0o640, false), (0o644, true), (0o604, true)] {
        for settings in [&secret, &harmless] {
            for file in [settings, &key] {
                with_mode(file, mode);
            }
            let path = settings.path().to_str().unwrap();
            let named = load(&["serve", "--config", path, "--service-key-file", key_path]).unwrap();
            let found: Vec<_> =
                named.secrets_others_can_read().into_iter().map(|file| (file.path, file.mode)).collect();
            let expected = [settings, &key].into_iter().filter(|file| is_named && file.path() != harmless.path());
            assert_eq!(found, expected.map(|file| (file.path().to_owned(), mode)).collect::<Vec<_>>());
        }
    }
}

/// The number after a word in a file that is shipped.
fn shipped(file: &str, word: &str) -> u32 {
    let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join("deploy").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(word).unwrap_or_else(|| panic!("{file}: there is no {word}"));
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

#[test]
fn the_shipped_postgresql_has_connections_for_all_instances_that_its_proxy_knows() {
    let instances = shipped("compose/haproxy.cfg", "server-template frontrow ");
    let each = load(&["serve"]).unwrap().servers.connections();
    let there = shipped("compose/compose.yaml", "max_connections=");
    assert!(there >= instances * each + 20, "{there} for {instances} instances of {each} connections");
    // One more while instances are replaced, in what PostgreSQL has unless it was set.
    let instances = shipped("kubernetes/autoscaler.yaml", "maxReplicas: ") + 1;
    assert!(instances * each + 10 <= 100, "{instances} instances of {each} connections");
}

#[test]
fn help_says_unit_default_and_variable_of_every_option() {
    let output = Command::new(env!("CARGO_BIN_EXE_frontrow")).args(["serve", "--help"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let config = load(&["serve"]).unwrap();
    for setting in &config.settings {
        let variable = match setting.name.as_str() {
            "config_file" => "FRONTROW_CONFIG".to_owned(),
            name => format!("FRONTROW_{}", name.to_uppercase()),
        };
        assert!(text.contains(&format!("[env: {variable}")), "{variable} is not in the help");
        assert!(!setting.help.is_empty(), "{} has no help", setting.name);
    }
    assert!(text.contains("[default: 300]"), "{text}");
}
