//! The settings as the command line and the environment give them.

use std::ffi::OsString;

use clap::Args;

/// The settings as they were given.
#[derive(Args)]
#[command(next_help_heading = "Settings")]
pub(crate) struct RawSettings {
    /// IP address and port to serve on; port 0 chooses a free one
    #[arg(
        long,
        env = "ROOTS_BIND",
        hide_env_values = true,
        global = true,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080"
    )]
    pub(super) bind: OsString,

    /// The database: `sqlite://PATH?mode=rwc` or `postgres://USER:PASSWORD@HOST/NAME`. If it has a
    /// password, set the variable instead: other users can read a command line
    #[arg(
        long,
        env = "ROOTS_DATABASE_URL",
        hide_env_values = true,
        global = true,
        value_name = "URL",
        default_value = "sqlite://data/roots.db?mode=rwc"
    )]
    pub(super) database_url: OsString,

    /// Whether anybody may create an account with POST /api/v1/bootstrap: closed or open
    #[arg(
        long,
        env = "ROOTS_SIGNUP",
        hide_env_values = true,
        global = true,
        value_name = "MODE",
        default_value = "closed"
    )]
    pub(super) signup: OsString,

    /// The dashboard for browsers: on; off; or plain, to allow signing in over plain HTTP from
    /// other machines, where anybody on the way can read it
    #[arg(
        long,
        env = "ROOTS_DASHBOARD",
        hide_env_values = true,
        global = true,
        value_name = "MODE",
        default_value = "on"
    )]
    pub(super) dashboard: OsString,

    /// How many accounts one address may create an hour; 0 is no limit
    #[arg(
        long,
        env = "ROOTS_SIGNUPS_PER_HOUR",
        hide_env_values = true,
        global = true,
        value_name = "COUNT",
        default_value = "3",
        allow_hyphen_values = true
    )]
    pub(super) signups_per_hour: OsString,

    /// How many recoveries one address may attempt an hour; 0 is no limit
    #[arg(
        long,
        env = "ROOTS_RECOVERS_PER_HOUR",
        hide_env_values = true,
        global = true,
        value_name = "COUNT",
        default_value = "10",
        allow_hyphen_values = true
    )]
    pub(super) recovers_per_hour: OsString,

    /// Credits that a new account starts with
    #[arg(
        long,
        env = "ROOTS_SIGNUP_CREDITS",
        hide_env_values = true,
        global = true,
        value_name = "CREDITS",
        default_value = "100",
        allow_hyphen_values = true
    )]
    pub(super) signup_credits: OsString,

    /// Credits that an operator account starts with
    #[arg(
        long,
        env = "ROOTS_OPERATOR_CREDITS",
        hide_env_values = true,
        global = true,
        value_name = "CREDITS",
        default_value = "1000000",
        allow_hyphen_values = true
    )]
    pub(super) operator_credits: OsString,

    /// The file to which the first start writes the operator's key and recovery code. It is never
    /// overwritten
    #[arg(
        long,
        env = "ROOTS_OPERATOR_FILE",
        hide_env_values = true,
        global = true,
        value_name = "FILE",
        default_value = "roots-operator.txt"
    )]
    pub(super) operator_file: OsString,

    /// How many requests a minute one actor may make, by all its keys; 0 is no limit, also for
    /// requests without a valid key
    #[arg(
        long,
        env = "ROOTS_RATE_LIMIT_PER_MINUTE",
        hide_env_values = true,
        global = true,
        value_name = "COUNT",
        default_value = "1200",
        allow_hyphen_values = true
    )]
    pub(super) rate_limit_per_minute: OsString,

    /// How many requests a minute one account may make, by all its actors; 0 is no limit
    #[arg(
        long,
        env = "ROOTS_ACCOUNT_RATE_LIMIT_PER_MINUTE",
        hide_env_values = true,
        global = true,
        value_name = "COUNT",
        default_value = "12000",
        allow_hyphen_values = true
    )]
    pub(super) account_rate_limit_per_minute: OsString,

    /// How many changes an hour one account may make to its keys, actors and recovery code, its
    /// imports and its owner's exports included; 0 is no limit
    #[arg(
        long,
        env = "ROOTS_KEY_CHANGES_PER_HOUR",
        hide_env_values = true,
        global = true,
        value_name = "COUNT",
        default_value = "1000",
        allow_hyphen_values = true
    )]
    pub(super) key_changes_per_hour: OsString,

    /// How many searches a minute one actor may make; 0 is no limit
    #[arg(
        long,
        env = "ROOTS_SEARCHES_PER_MINUTE",
        hide_env_values = true,
        global = true,
        value_name = "COUNT",
        default_value = "30",
        allow_hyphen_values = true
    )]
    pub(super) searches_per_minute: OsString,

    /// How often one actor may sign in on the dashboard in an hour; 0 is no limit
    #[arg(
        long,
        env = "ROOTS_SIGN_INS_PER_HOUR",
        hide_env_values = true,
        global = true,
        value_name = "COUNT",
        default_value = "30",
        allow_hyphen_values = true
    )]
    pub(super) sign_ins_per_hour: OsString,

    /// Proxies in front, as addresses or networks separated by commas: their X-Forwarded-For
    /// and X-Forwarded-Proto are trusted; none by default
    #[arg(
        long,
        env = "ROOTS_TRUSTED_PROXIES",
        hide_env_values = true,
        global = true,
        value_name = "PROXIES",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) trusted_proxies: OsString,

    /// How many connections may be open at once. Beyond that, the address with the most connections
    /// loses one. The system must allow 288 more open files
    #[arg(
        long,
        env = "ROOTS_CONNECTIONS",
        hide_env_values = true,
        global = true,
        value_name = "COUNT",
        default_value = "900",
        allow_hyphen_values = true
    )]
    pub(super) connections: OsString,

    /// After how long without a write a session is ended: off, or a number of seconds, or one with
    /// a unit (m, h, d), from 5m to 30d
    #[arg(
        long,
        env = "ROOTS_SESSION_IDLE",
        hide_env_values = true,
        global = true,
        value_name = "TIME",
        default_value = "off",
        allow_hyphen_values = true
    )]
    pub(super) session_idle: OsString,

    /// After how long without a write the dashboard calls an active session quiet: off, or a number
    /// of seconds, or one with a unit (m, h, d), from 1m to 7d
    #[arg(
        long,
        env = "ROOTS_QUIET_AFTER",
        hide_env_values = true,
        global = true,
        value_name = "TIME",
        default_value = "30m",
        allow_hyphen_values = true
    )]
    pub(super) quiet_after: OsString,

    /// Origins whose pages may call the API from a browser, separated by commas; none by default
    #[arg(
        long,
        env = "ROOTS_CORS_ORIGINS",
        hide_env_values = true,
        global = true,
        value_name = "ORIGINS",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) cors_origins: OsString,

    /// Names of this server beside the loopback names and the address of --bind, separated by
    /// commas: the pages and /mcp are refused under any other Host; * is any
    #[arg(
        long,
        env = "ROOTS_HOSTS",
        hide_env_values = true,
        global = true,
        value_name = "HOSTS",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) hosts: OsString,

    /// What to log: a level (off, error, warn, info, debug, trace) or TARGET=LEVEL, separated by
    /// commas
    #[arg(
        long,
        env = "ROOTS_LOG",
        hide_env_values = true,
        global = true,
        value_name = "FILTER",
        default_value = "info,sqlx=warn,sea_orm=warn,sea_orm_migration=warn"
    )]
    pub(super) log: OsString,

    /// The format of log lines: text or json
    #[arg(
        long,
        env = "ROOTS_LOG_FORMAT",
        hide_env_values = true,
        global = true,
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub(super) log_format: OsString,

    /// IP address and port to serve GET /metrics on, in Prometheus' text format; off by default
    #[arg(
        long,
        env = "ROOTS_METRICS_BIND",
        hide_env_values = true,
        global = true,
        value_name = "ADDRESS"
    )]
    pub(super) metrics_bind: Option<OsString>,

    /// CPU to pin the writer threads to: its number, any, or auto, which is the last CPU if the
    /// program may use all of its CPUs completely
    #[arg(
        long,
        env = "ROOTS_WRITER_PROCESSOR",
        hide_env_values = true,
        global = true,
        value_name = "PROCESSOR",
        default_value = "auto",
        allow_hyphen_values = true
    )]
    pub(super) writer_processor: OsString,
}
