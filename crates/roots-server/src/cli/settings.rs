//! The settings, from the command line and the environment.
//!
//! All values are read as text and validated here, so that an invalid one is refused with one clear
//! sentence, which never contains a database's password.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use roots_domain::model::Invalid;
use roots_domain::model::credit::GRANT_MAX;
use roots_domain::model::dashboard::DashboardRules;
use roots_http::Signup;
use roots_http_core::auth::client_ip::TrustedProxy;
use roots_http_core::auth::rate_limit::RateLimits;
use roots_http_core::middleware::cors::CorsOrigin;
use roots_http_core::middleware::hosts::{HostName, Hosts};
use roots_http_core::settings::HttpSettings;
use roots_persistence::DatabaseUrl;
use roots_web::Dashboard;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::cli::raw_settings::RawSettings;
use crate::net::processors::{WriterProcessor, processors};

/// The validated settings.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The address to serve on.
    pub(crate) bind: SocketAddr,
    /// The database.
    pub(crate) database_url: DatabaseUrl,
    /// The settings of all that is served over HTTP.
    pub(crate) http: HttpSettings,
    /// Whether anybody may create an account.
    pub(crate) signup: Signup,
    /// Whether and how the pages are served.
    pub(crate) dashboard: Dashboard,
    /// How many connections may be open at once.
    pub(crate) connections: usize,
    /// The credits of a new account.
    pub(crate) signup_credits: i64,
    /// The credits of an operator account.
    pub(crate) operator_credits: i64,
    /// The file to which the first start writes the operator's key.
    pub(crate) operator_file: PathBuf,
    /// After how many seconds without a write a session is ended, if ever.
    pub(crate) session_idle_seconds: Option<i64>,
    /// What to log.
    pub(crate) log: Targets,
    /// How.
    pub(crate) log_format: LogFormat,
    /// The address to serve the metrics on, if any.
    pub(crate) metrics_bind: Option<SocketAddr>,
    /// The CPU of the writer threads.
    pub(crate) writer: WriterProcessor,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// A setting that can't be used: one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} {error}.")]
pub(crate) struct InvalidSetting {
    name: String,
    error: String,
}

/// A setting's name: its variable, from which its flag follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SettingName(&'static str);

impl fmt::Display for SettingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = self.0.trim_start_matches("ROOTS_").to_lowercase().replace('_', "-");
        write!(f, "{} (--{flag})", self.0)
    }
}

impl SettingName {
    /// Refuses a value. `takes` says what is valid.
    fn refuse(self, takes: &str, given: &str) -> InvalidSetting {
        self.error(format_args!("must be {takes}, and is {given:?}"))
    }

    /// Refuses a value without repeating it.
    fn error(self, error: impl fmt::Display) -> InvalidSetting {
        InvalidSetting { name: self.to_string(), error: error.to_string() }
    }

    fn text(self, given: OsString) -> Result<String, InvalidSetting> {
        given.into_string().map_err(|_| self.error("must be text in UTF-8, and is not"))
    }
}

/// The highest limit that can be set.
const LIMIT_MAX: u32 = 1_000_000;
/// How long a session may be silent: 5 minutes to 30 days.
const IDLE_SECONDS: RangeInclusive<i64> = 300..=2_592_000;
/// After how long without a write a session is called quiet: a minute to 7 days.
const QUIET_SECONDS: RangeInclusive<i64> = 60..=604_800;
/// The most connections that can be set.
const CONNECTIONS_MAX: usize = 100_000;
/// The part of the connections that streams of events may hold: a third. The others are for
/// requests that are answered and go.
const STREAMS_PART: usize = 3;

impl RawSettings {
    /// Validates the settings.
    ///
    /// # Errors
    /// One sentence on the first setting that can't be used.
    pub(crate) fn validate(self) -> Result<Settings, InvalidSetting> {
        let signup_credits = credits(SettingName("ROOTS_SIGNUP_CREDITS"), self.signup_credits)?;
        let open = Signup::Open { credits: signup_credits };
        let signup = [("closed", Signup::Closed), ("open", open)];
        let log_formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        let metrics = |given| address(SettingName("ROOTS_METRICS_BIND"), given);
        let bind = address(SettingName("ROOTS_BIND"), self.bind)?;
        let connections = connections(self.connections)?;
        let named = Dashboard::ALL.map(|dashboard| (dashboard.name(), dashboard));
        let dashboard = one_of(SettingName("ROOTS_DASHBOARD"), self.dashboard, named)?;
        Ok(Settings {
            bind,
            database_url: database_url(self.database_url)?,
            dashboard,
            signup: one_of(SettingName("ROOTS_SIGNUP"), self.signup, signup)?,
            http: HttpSettings {
                cors_origins: list(
                    SettingName("ROOTS_CORS_ORIGINS"),
                    self.cors_origins,
                    CorsOrigin::parse,
                )?,
                hosts: hosts(self.hosts, bind)?,
                limits: RateLimits {
                    requests_per_minute: limit(
                        SettingName("ROOTS_RATE_LIMIT_PER_MINUTE"),
                        self.rate_limit_per_minute,
                    )?,
                    account_requests_per_minute: limit(
                        SettingName("ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE"),
                        self.account_rate_limit_per_minute,
                    )?,
                    key_changes_per_hour: limit(
                        SettingName("ROOTS_KEY_CHANGES_PER_HOUR"),
                        self.key_changes_per_hour,
                    )?,
                    searches_per_minute: limit(
                        SettingName("ROOTS_SEARCHES_PER_MINUTE"),
                        self.searches_per_minute,
                    )?,
                    sign_ins_per_hour: limit(
                        SettingName("ROOTS_SIGN_INS_PER_HOUR"),
                        self.sign_ins_per_hour,
                    )?,
                    signups_per_hour: limit(
                        SettingName("ROOTS_SIGNUPS_PER_HOUR"),
                        self.signups_per_hour,
                    )?,
                    recovers_per_hour: limit(
                        SettingName("ROOTS_RECOVERS_PER_HOUR"),
                        self.recovers_per_hour,
                    )?,
                },
                trusted_proxies: list(
                    SettingName("ROOTS_TRUSTED_PROXIES"),
                    self.trusted_proxies,
                    TrustedProxy::parse,
                )?,
                dashboard: DashboardRules {
                    quiet_after_seconds: silence(
                        SettingName("ROOTS_QUIET_AFTER"),
                        self.quiet_after,
                        &QUIET_SECONDS,
                        "off, or a time from 1m to 7d, such as 300, 30m or 12h",
                    )?,
                },
                allows_plain_cookies: dashboard == Dashboard::Plain,
                streams: (connections / STREAMS_PART).max(1),
                ..HttpSettings::default()
            },
            connections,
            signup_credits,
            operator_credits: credits(
                SettingName("ROOTS_OPERATOR_CREDITS"),
                self.operator_credits,
            )?,
            operator_file: file(SettingName("ROOTS_OPERATOR_FILE"), self.operator_file)?,
            session_idle_seconds: silence(
                SettingName("ROOTS_SESSION_IDLE"),
                self.session_idle,
                &IDLE_SECONDS,
                "off, or a time from 5m to 30d, such as 300, 45m, 12h or 7d",
            )?,
            log: filter(self.log)?,
            log_format: one_of(SettingName("ROOTS_LOG_FORMAT"), self.log_format, log_formats)?,
            metrics_bind: self.metrics_bind.map(metrics).transpose()?,
            writer: writer(self.writer_processor)?,
        })
    }
}

fn address(name: SettingName, given: OsString) -> Result<SocketAddr, InvalidSetting> {
    let given = name.text(given)?;
    let takes = "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
    given.parse().map_err(|_| name.refuse(takes, &given))
}

fn database_url(given: OsString) -> Result<DatabaseUrl, InvalidSetting> {
    let name = SettingName("ROOTS_DATABASE_URL");
    let refused = |error| name.error(format_args!("can't be used: {error}"));
    DatabaseUrl::parse(&name.text(given)?).map_err(refused)
}

fn one_of<T: Copy, const N: usize>(
    name: SettingName,
    given: OsString,
    values: [(&str, T); N],
) -> Result<T, InvalidSetting> {
    let given = name.text(given)?;
    values.iter().find(|(value, _)| *value == given).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let values: Vec<_> = values.iter().map(|(value, _)| *value).collect();
        name.refuse(&values.join(" or "), &given)
    })
}

fn credits(name: SettingName, given: OsString) -> Result<i64, InvalidSetting> {
    whole_number(name, given, GRANT_MAX)
}

fn connections(given: OsString) -> Result<usize, InvalidSetting> {
    let name = SettingName("ROOTS_CONNECTIONS");
    match whole_number(name, given, CONNECTIONS_MAX)? {
        0 => Err(name.refuse(&format!("a whole number from 1 to {CONNECTIONS_MAX}"), "0")),
        number => Ok(number),
    }
}

/// A time without writes: `off`, or seconds, or a number with a unit.
fn silence(
    name: SettingName,
    given: OsString,
    allowed: &RangeInclusive<i64>,
    takes: &str,
) -> Result<Option<i64>, InvalidSetting> {
    let given = name.text(given)?;
    if given == "off" {
        return Ok(None);
    }
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    let with_unit =
        units.iter().find_map(|(unit, seconds)| Some((given.strip_suffix(unit)?, *seconds)));
    let (number, unit) = with_unit.unwrap_or((&given, 1));
    let is_plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number: Option<i64> = if is_plain { number.parse().ok() } else { None };
    let seconds = number.and_then(|number| number.checked_mul(unit));
    let seconds = seconds.filter(|seconds| allowed.contains(seconds));
    seconds.map(Some).ok_or_else(|| name.refuse(takes, &given))
}

fn limit(name: SettingName, given: OsString) -> Result<Option<NonZeroU32>, InvalidSetting> {
    whole_number(name, given, LIMIT_MAX).map(NonZeroU32::new)
}

/// A number from 0 to `max`.
fn whole_number<T: FromStr + PartialOrd + fmt::Display + Copy>(
    name: SettingName,
    given: OsString,
    max: T,
) -> Result<T, InvalidSetting> {
    let given = name.text(given)?;
    let plain = !given.is_empty() && given.bytes().all(|b| b.is_ascii_digit());
    let number = if plain { given.parse().ok() } else { None };
    number
        .filter(|number| *number <= max)
        .ok_or_else(|| name.refuse(&format!("a whole number from 0 to {max}"), &given))
}

fn writer(given: OsString) -> Result<WriterProcessor, InvalidSetting> {
    let name = SettingName("ROOTS_WRITER_PROCESSOR");
    let given = name.text(given)?;
    let there = processors();
    let number = || given.parse().ok().filter(|number| there.contains(number));
    match given.as_str() {
        "auto" => Ok(WriterProcessor::Auto),
        "any" => Ok(WriterProcessor::Any),
        _ => number().map(WriterProcessor::Number).ok_or_else(|| {
            name.refuse("auto, any, or the number of a processor that the program may use", &given)
        }),
    }
}

fn file(name: SettingName, given: OsString) -> Result<PathBuf, InvalidSetting> {
    let path = PathBuf::from(given);
    if path.file_name().is_none() {
        return Err(name.refuse("the path of a file", &path.to_string_lossy()));
    }
    Ok(path)
}

fn list<T>(
    name: SettingName,
    given: OsString,
    parse: impl Fn(&str) -> Result<T, Invalid>,
) -> Result<Vec<T>, InvalidSetting> {
    let given = name.text(given)?;
    let parts = given.split(',').map(str::trim).filter(|part| !part.is_empty());
    let refused = |part: &str, error: Invalid| {
        name.error(format_args!("holds {part:?}, and each part, between commas, {error}"))
    };
    parts.map(|part| parse(part).map_err(|error| refused(part, error))).collect()
}

/// The names of the server: `*` for any, and otherwise those that follow from its address and those
/// that are given.
fn hosts(given: OsString, bind: SocketAddr) -> Result<Hosts, InvalidSetting> {
    if given == "*" {
        return Ok(Hosts::Any);
    }
    let names = list(SettingName("ROOTS_HOSTS"), given, HostName::parse)?;
    Ok(Hosts::with_names(bind, names))
}

fn filter(given: OsString) -> Result<Targets, InvalidSetting> {
    let name = SettingName("ROOTS_LOG");
    let given = name.text(given)?;
    let takes =
        "a level (off, error, warn, info, debug, trace) or TARGET=LEVEL, separated by commas";
    // rmcp logs whole messages, with texts in them. The server's own lines tell every request.
    let silent = |filter: Targets| filter.with_target("rmcp", LevelFilter::OFF);
    let filter = given.split(',').try_fold(Targets::new(), |filter, part| {
        let refused = || name.refuse(takes, &given);
        let part = part.trim();
        match part.split_once('=') {
            None => Ok(filter.with_default(level(part).ok_or_else(refused)?)),
            Some((target, _)) if target.trim().is_empty() => Err(refused()),
            Some((target, level_name)) => {
                let level = level(level_name.trim()).ok_or_else(refused)?;
                Ok(filter.with_target(target.trim(), level))
            }
        }
    });
    filter.map(silent)
}

/// The level with that name. Numbers and empty text, which the library would accept, are refused.
fn level(name: &str) -> Option<LevelFilter> {
    let is_word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic());
    if is_word { name.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::arguments::CommandLine;

    fn validate(args: &[&str]) -> Result<Settings, InvalidSetting> {
        let args = [&["roots-server"], args].concat();
        CommandLine::try_parse_from(args).unwrap().settings.validate()
    }

    #[test]
    fn the_command_line_passes_the_debug_assertions_of_clap() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn without_settings_the_defaults_apply() {
        let settings = validate(&[]).unwrap();
        assert_eq!(settings.bind.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.signup, Signup::Closed);
        assert_eq!((settings.signup_credits, settings.operator_credits), (100, 1_000_000));
        assert_eq!(settings.operator_file, PathBuf::from("roots-operator.txt"));
        assert_eq!(settings.connections, 900);
        assert_eq!(settings.session_idle_seconds, None);
        assert_eq!(settings.http.dashboard.quiet_after_seconds, Some(1_800));
        assert_eq!(settings.http.cors_origins, []);
        assert_eq!(settings.http.hosts, Hosts::default());
        assert_eq!(settings.http.limits, RateLimits::default());
        assert_eq!(settings.http.trusted_proxies, []);
        assert_eq!(settings.log_format, LogFormat::Text);
        assert_eq!(settings.metrics_bind, None);
        assert_eq!(settings.writer, WriterProcessor::Auto);
    }

    #[test]
    fn a_setting_can_stand_before_or_after_the_command() {
        for args in [["--signup=open", "serve"], ["serve", "--signup=open"]] {
            let open = Signup::Open { credits: 100 };
            assert_eq!(validate(&args).unwrap().signup, open, "{args:?}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_one_sentence_that_names_its_setting() {
        for (flag, bad) in [
            ("--bind", "localhost"),
            ("--bind", "127.0.0.1"),
            ("--bind", ""),
            ("--database-url", "mysql://x/y"),
            ("--database-url", ""),
            ("--signup", "maybe"),
            ("--dashboard", "yes"),
            ("--dashboard", ""),
            ("--signup", "Open"),
            ("--signup-credits", "-1"),
            ("--signup-credits", "+1"),
            ("--signup-credits", "1.5"),
            ("--signup-credits", "1000000001"),
            ("--operator-credits", "99999999999999999999"),
            ("--operator-credits", ""),
            ("--operator-file", ""),
            ("--operator-file", ".."),
            ("--connections", "0"),
            ("--connections", "100001"),
            ("--connections", "many"),
            ("--quiet-after", "59"),
            ("--quiet-after", "8d"),
            ("--quiet-after", ""),
            ("--session-idle", "299"),
            ("--session-idle", "4m"),
            ("--session-idle", "31d"),
            ("--session-idle", "0"),
            ("--session-idle", "-5m"),
            ("--session-idle", "5 m"),
            ("--session-idle", "1w"),
            ("--session-idle", "99999999999999999d"),
            ("--session-idle", ""),
            ("--cors-origins", "example.org"),
            ("--cors-origins", "https://example.org, *"),
            ("--cors-origins", "https://example.org/path"),
            ("--hosts", "https://example.org"),
            ("--hosts", "example.org, *"),
            ("--hosts", "example.org/path"),
            ("--rate-limit-per-minute", "-1"),
            ("--rate-limit-per-minute", "off"),
            ("--rate-limit-per-minute", "1000001"),
            ("--account-rate-limit-per-minute", "-1"),
            ("--key-changes-per-hour", "1e3"),
            ("--searches-per-minute", "30/min"),
            ("--signups-per-hour", ""),
            ("--recovers-per-hour", "99999999999"),
            ("--trusted-proxies", "localhost"),
            ("--trusted-proxies", "10.0.0.1, 10.0.0.0/33"),
            ("--trusted-proxies", "0.0.0.0/0"),
            ("--log", "inof"),
            ("--log", ""),
            ("--log", "info,,debug"),
            ("--log", "3"),
            ("--log", "=info"),
            ("--log", "sqlx="),
            ("--log", "sqlx=loud"),
            ("--log-format", "xml"),
            ("--metrics-bind", "9090"),
            ("--metrics-bind", "two\nlines"),
            ("--writer-processor", "none"),
            ("--writer-processor", "-1"),
            ("--writer-processor", "99999"),
        ] {
            let message = validate(&[flag, bad]).unwrap_err().to_string();
            let variable = flag.trim_start_matches("--").replace('-', "_").to_uppercase();
            assert!(message.starts_with(&format!("ROOTS_{variable} ({flag}) ")), "{message}");
            assert!(message.ends_with('.') && !message.ends_with(".."), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn a_database_password_is_never_repeated_in_errors_or_debug_output() {
        for url in ["postgre://roots:hunter2@db/roots", "postgres://roots:hunter2@:x/roots"] {
            if let Err(error) = validate(&["--database-url", url]) {
                assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
            }
        }
        let settings = validate(&["--database-url", "postgres://roots:hunter2@db/roots"]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn limits_and_proxies_are_parsed_as_given() {
        let settings = validate(&[
            "--rate-limit-per-minute=0",
            "--account-rate-limit-per-minute=3",
            "--key-changes-per-hour=4",
            "--searches-per-minute=5",
            "--sign-ins-per-hour=6",
            "--signups-per-hour=1",
            "--recovers-per-hour=2",
            "--trusted-proxies=127.0.0.1, 10.0.0.0/8,",
        ]);
        let http = settings.unwrap().http;
        let limits = RateLimits {
            requests_per_minute: None,
            account_requests_per_minute: NonZeroU32::new(3),
            key_changes_per_hour: NonZeroU32::new(4),
            searches_per_minute: NonZeroU32::new(5),
            sign_ins_per_hour: NonZeroU32::new(6),
            signups_per_hour: NonZeroU32::new(1),
            recovers_per_hour: NonZeroU32::new(2),
        };
        assert_eq!(http.limits, limits);
        let proxies = ["127.0.0.1", "10.0.0.0/8"].map(|text| TrustedProxy::parse(text).unwrap());
        assert_eq!(http.trusted_proxies, proxies);
    }

    #[test]
    fn the_names_of_the_server_are_given_or_follow_from_its_address() {
        let hosts = |args: &[&str]| validate(args).unwrap().http.hosts;
        let bound = hosts(&["--bind=10.1.2.3:80"]);
        let address = SocketAddr::from(([10, 1, 2, 3], 80));
        assert_eq!(bound, Hosts::with_names(address, Vec::new()));
        assert_ne!(bound, Hosts::default());
        assert_eq!(hosts(&["--hosts=*"]), Hosts::Any);
        let named = ["roots.example.org", "[::1]:8080"].map(|name| HostName::parse(name).unwrap());
        let given = hosts(&["--hosts=roots.example.org, [::1]:8080", "--bind=10.1.2.3:80"]);
        assert_eq!(given, Hosts::with_names(address, named.into()));
    }

    #[test]
    fn a_time_without_writes_is_given_in_seconds_or_with_a_unit() {
        for (given, seconds) in [
            ("off", None),
            ("300", Some(300)),
            ("301s", Some(301)),
            ("5m", Some(300)),
            ("12h", Some(43_200)),
            ("30d", Some(2_592_000)),
        ] {
            let settings = validate(&["--session-idle", given]).unwrap();
            assert_eq!(settings.session_idle_seconds, seconds, "{given}");
            let settings = validate(&["--quiet-after", "1m"]).unwrap();
            assert_eq!(settings.http.dashboard.quiet_after_seconds, Some(60));
        }
    }

    #[test]
    fn a_log_filter_takes_levels_and_targets() {
        let filter = validate(&["--log", "warn, roots_http=debug,sqlx=off"]).unwrap().log;
        assert!(filter.would_enable("anything", &tracing::Level::WARN));
        assert!(!filter.would_enable("anything", &tracing::Level::INFO));
        assert!(filter.would_enable("roots_http::problem", &tracing::Level::DEBUG));
        assert!(!filter.would_enable("sqlx::query", &tracing::Level::ERROR));
        let all = validate(&["--log", "trace,rmcp=trace"]).unwrap().log;
        assert!(all.would_enable("anything", &tracing::Level::TRACE));
        assert!(!all.would_enable("rmcp::service", &tracing::Level::ERROR));
    }
}
