//! The settings of a session: one definition each.

use std::collections::BTreeMap;

use tidemill_repr::text::{DateOrder, DateStyle, IntervalStyle, TextSettings};
use tidemill_repr::{SqlError, SqlState};

/// How a setting's values are checked and shown.
enum Kind {
    /// Any text.
    Text,
    /// A boolean, shown as `on` or `off`.
    Bool,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number in this range.
    Integer(i64, i64),
    /// A time span; milliseconds where there is no unit.
    Milliseconds,
    /// A time zone.
    TimeZone,
    /// A style and an order of dates.
    DateStyle,
    /// A list of names.
    Names,
    /// Only this value, whatever is set: clients expect to be able to set it.
    Fixed(&'static [&'static str]),
    /// Cannot be set.
    ReadOnly,
    /// Set for the whole server, by ALTER SYSTEM.
    System(&'static Kind),
    /// Who the session is: set by statements of its own, which ask first.
    Identity,
}

/// A setting.
struct Setting {
    name: &'static str,
    default: &'static str,
    kind: Kind,
    /// Whether clients are told of each change (`ParameterStatus`).
    reported: bool,
    doc: &'static str,
}

const fn setting(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Setting {
    Setting { name, default, kind, reported: false, doc }
}

const fn reported(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Setting {
    Setting { name, default, kind, reported: true, doc }
}

/// PostgreSQL's `server_version` that clients see.
pub const SERVER_VERSION: &str = "17.0";

/// The version that clients made for Materialize ask for: they compare the number.
pub const MZ_VERSION: &str = concat!("v0.147.0 (Tidemill ", env!("CARGO_PKG_VERSION"), ")");

const SETTINGS: &[Setting] = &[
    reported("application_name", "", Kind::Text, "The name of the client."),
    setting("bytea_output", "hex", Kind::Word(&["hex", "escape"]), "How bytea is shown."),
    reported(
        "client_encoding",
        "UTF8",
        Kind::Fixed(&["UTF8", "utf8", "UTF-8", "utf-8", "unicode"]),
        "The client's character set.",
    ),
    setting(
        "client_min_messages",
        "notice",
        Kind::Word(&[
            "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning",
            "error",
        ]),
        "The least severity of messages sent.",
    ),
    setting(
        "auto_route_catalog_queries",
        "on",
        Kind::Bool,
        "Accepted; catalog queries need no cluster of their own.",
    ),
    setting("cluster", "quickstart", Kind::Text, "The cluster that answers queries."),
    setting(
        "current_object_missing_warnings",
        "on",
        Kind::Bool,
        "Accepted; there are no such warnings.",
    ),
    reported(
        "datestyle",
        "ISO, MDY",
        Kind::DateStyle,
        "How dates are shown, and in which order their parts are read.",
    ),
    setting(
        "extra_float_digits",
        "1",
        Kind::Integer(-15, 3),
        "Digits of floats beyond the usual; values above 0 give the shortest exact text.",
    ),
    setting(
        "idle_in_transaction_session_timeout",
        "2min",
        Kind::Milliseconds,
        "How long a transaction may be idle.",
    ),
    setting(
        "idle_session_timeout",
        "0",
        Kind::Milliseconds,
        "How long a session may be idle outside a transaction; 0 is for ever.",
    ),
    reported("integer_datetimes", "on", Kind::ReadOnly, "Always on."),
    reported(
        "intervalstyle",
        "postgres",
        Kind::Word(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "How intervals are shown.",
    ),
    setting("is_superuser", "off", Kind::ReadOnly, "Whether the user is a superuser."),
    setting("lock_timeout", "0", Kind::Milliseconds, "Accepted; there are no locks to wait for."),
    setting("max_identifier_length", "255", Kind::ReadOnly, "Bytes of the longest name."),
    reported(
        "mz_version",
        MZ_VERSION,
        Kind::ReadOnly,
        "The version whose behaviour clients may assume.",
    ),
    setting("search_path", "public", Kind::Names, "Where names without schema are looked up."),
    reported("server_encoding", "UTF8", Kind::ReadOnly, "The server's character set."),
    reported(
        "server_version",
        SERVER_VERSION,
        Kind::ReadOnly,
        "The PostgreSQL version clients may assume.",
    ),
    setting("server_version_num", "170000", Kind::ReadOnly, "The same, as a number."),
    reported("standard_conforming_strings", "on", Kind::Fixed(&["on", "true"]), "Always on."),
    setting(
        "statement_timeout",
        "0",
        Kind::Milliseconds,
        "How long a statement may take; 0 is for ever.",
    ),
    setting("synchronous_commit", "on", Kind::Fixed(&["on"]), "Always on."),
    reported("timezone", "UTC", Kind::TimeZone, "The session's time zone."),
    setting("welcome_message", "on", Kind::Bool, "Accepted; there is no such message."),
    setting(
        "transaction_isolation",
        "strict serializable",
        Kind::Word(&[
            "strict serializable",
            "serializable",
            "repeatable read",
            "read committed",
            "read uncommitted",
        ]),
        "The isolation of transactions; all levels are served as the strongest.",
    ),
    setting(
        "default_transaction_isolation",
        "strict serializable",
        Kind::Word(&[
            "strict serializable",
            "serializable",
            "repeatable read",
            "read committed",
            "read uncommitted",
        ]),
        "The isolation of new transactions; all levels are served as the strongest.",
    ),
    setting(
        "default_transaction_read_only",
        "off",
        Kind::Bool,
        "Whether new transactions refuse writes.",
    ),
    setting("role", "none", Kind::Identity, "The role that the session acts as."),
    setting("session_authorization", "", Kind::Identity, "The user of the session."),
    setting(
        "max_connections",
        "1000",
        Kind::System(&Kind::Integer(1, 1_000_000)),
        "How many sessions there may be at once.",
    ),
    setting(
        "network_policy",
        "default",
        Kind::System(&Kind::Text),
        "The network policy that says who may connect from where; default: all may.",
    ),
];

/// The settings of one session.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    session: BTreeMap<&'static str, String>,
    local: BTreeMap<&'static str, String>,
    /// What the session began with, where that is not the usual value.
    defaults: BTreeMap<&'static str, String>,
}

fn find(name: &str) -> Result<&'static Setting, SqlError> {
    let name = match name.to_ascii_lowercase().as_str() {
        "time zone" => "timezone".to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        "schema" => "search_path".to_owned(),
        "names" => "client_encoding".to_owned(),
        other => other.to_owned(),
    };
    SETTINGS.iter().find(|setting| setting.name == name).ok_or_else(|| {
        SqlError::new(
            SqlState::UNDEFINED_OBJECT,
            format!("unrecognized configuration parameter \"{name}\""),
        )
    })
}

impl Settings {
    /// The value of a setting, as SHOW gives it.
    ///
    /// # Errors
    /// There is no such setting (`42704`).
    pub fn get(&self, name: &str) -> Result<&str, SqlError> {
        Ok(self.value(find(name)?))
    }

    fn value(&self, setting: &Setting) -> &str {
        self.local
            .get(setting.name)
            .or_else(|| self.session.get(setting.name))
            .or_else(|| self.defaults.get(setting.name))
            .map_or(setting.default, String::as_str)
    }

    /// The name as it is known: for the column of SHOW.
    ///
    /// # Errors
    /// There is no such setting.
    pub fn canonical_name(name: &str) -> Result<&'static str, SqlError> {
        Ok(match find(name)?.name {
            "timezone" => "TimeZone",
            "datestyle" => "DateStyle",
            "intervalstyle" => "IntervalStyle",
            other => other,
        })
    }

    /// Sets a value, for the session or (`local`) the transaction. Gives the name and value to
    /// report to the client, if it is to be told.
    ///
    /// # Errors
    /// There is no such setting, it cannot be set, or not to this value.
    pub fn set(
        &mut self,
        name: &str,
        values: &[String],
        local: bool,
    ) -> Result<Option<(&'static str, String)>, SqlError> {
        let setting = find(name)?;
        let value = check(setting, values, self.value(setting))?;
        let map = if local { &mut self.local } else { &mut self.session };
        map.insert(setting.name, value.clone());
        if !local {
            self.local.remove(setting.name);
        }
        Ok(self.report(setting))
    }

    /// Sets what a session begins with: what its role or the server is set to. What cannot be
    /// set so is passed over.
    pub fn put_default(&mut self, name: &str, values: &[String]) {
        let Ok(setting) = find(name) else { return };
        if !matches!(setting.kind, Kind::Identity | Kind::ReadOnly)
            && let Ok(value) = check_as(setting, whole_kind(setting), values, setting.default)
        {
            self.defaults.insert(setting.name, value);
        }
    }

    /// Sets who the session is at first.
    pub fn put_identity(&mut self, user: &str, superuser: bool) {
        let superuser = if superuser { "on" } else { "off" };
        self.defaults.insert("session_authorization", user.to_owned());
        self.defaults.insert("is_superuser", superuser.to_owned());
    }

    /// The user that connected.
    pub fn first_user(&self) -> &str {
        self.defaults.get("session_authorization").map_or("", String::as_str)
    }

    /// Whether a setting says who the session is.
    pub fn is_identity(name: &str) -> bool {
        find(name).is_ok_and(|setting| matches!(setting.kind, Kind::Identity))
    }

    /// Whether a setting is one of the whole server.
    pub fn is_system(name: &str) -> bool {
        find(name).is_ok_and(|setting| matches!(setting.kind, Kind::System(_)))
    }

    /// Whether ALTER SYSTEM may set something.
    ///
    /// # Errors
    /// There is no such setting, it cannot be set, or not to this value.
    pub fn check_system(name: &str, values: &[String]) -> Result<(), SqlError> {
        Settings::check_system_name(name)?;
        let setting = find(name)?;
        check_as(setting, whole_kind(setting), values, setting.default).map(|_| ())
    }

    /// Whether ALTER SYSTEM may set anything of this name.
    ///
    /// # Errors
    /// There is no such setting, or it cannot be set.
    pub fn check_system_name(name: &str) -> Result<(), SqlError> {
        let setting = find(name)?;
        match setting.kind {
            Kind::Identity | Kind::ReadOnly => Err(read_only(setting)),
            _ => Ok(()),
        }
    }

    /// Puts the default back.
    ///
    /// # Errors
    /// There is no such setting, or it cannot be set.
    pub fn reset(&mut self, name: &str) -> Result<Option<(&'static str, String)>, SqlError> {
        let setting = find(name)?;
        if matches!(setting.kind, Kind::ReadOnly | Kind::System(_)) {
            return Err(read_only(setting));
        }
        self.session.remove(setting.name);
        self.local.remove(setting.name);
        Ok(self.report(setting))
    }

    /// Puts all defaults back; who the session is stays.
    pub fn reset_all(&mut self) {
        let identity = |name: &&'static str| Settings::is_identity(name);
        self.session.retain(|name, _| identity(name));
        self.local.retain(|name, _| identity(name));
    }

    /// Makes the session who it was at first.
    pub fn reset_identity(&mut self) {
        self.session.retain(|name, _| !Settings::is_identity(name));
        self.local.retain(|name, _| !Settings::is_identity(name));
    }

    /// Ends what was set for a transaction.
    pub fn end_transaction(&mut self) {
        self.local.clear();
    }

    fn report(&self, setting: &'static Setting) -> Option<(&'static str, String)> {
        let name = Settings::canonical_name(setting.name).ok()?;
        setting.reported.then(|| (name, self.value(setting).to_owned()))
    }

    /// All settings that clients are told of.
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        SETTINGS.iter().filter_map(|setting| self.report(setting)).collect()
    }

    /// (name, value, description) of all settings.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &str, &'static str)> {
        SETTINGS.iter().map(|setting| (setting.name, self.value(setting), setting.doc))
    }

    /// The schemas of the search path.
    pub fn search_path(&self) -> Vec<String> {
        self.get("search_path")
            .unwrap_or("public")
            .split(',')
            .map(|name| name.trim().trim_matches('"').to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// How values are read and shown.
    pub fn text_settings(&self) -> TextSettings {
        let value = |name| self.get(name).unwrap_or_default();
        let (style, order) = value("datestyle").split_once(", ").unwrap_or_default();
        TextSettings {
            time_zone: value("timezone").to_owned(),
            date_style: match style {
                "SQL" => DateStyle::Sql,
                "Postgres" => DateStyle::Postgres,
                "German" => DateStyle::German,
                _ => DateStyle::Iso,
            },
            date_order: match order {
                "DMY" => DateOrder::Dmy,
                "YMD" => DateOrder::Ymd,
                _ => DateOrder::Mdy,
            },
            interval_style: match value("intervalstyle") {
                "postgres_verbose" => IntervalStyle::PostgresVerbose,
                "sql_standard" => IntervalStyle::SqlStandard,
                "iso_8601" => IntervalStyle::Iso8601,
                _ => IntervalStyle::Postgres,
            },
            bytea_escape: value("bytea_output") == "escape",
            extra_float_digits: value("extra_float_digits").parse().unwrap_or(1),
            now: None,
        }
    }

    /// A time span in milliseconds; None where it is 0.
    pub fn milliseconds(&self, name: &str) -> Option<u64> {
        let text = self.get(name).ok()?;
        parse_milliseconds(text).filter(|millis| *millis > 0)
    }
}

fn read_only(setting: &Setting) -> SqlError {
    SqlError::new(
        SqlState::CANT_CHANGE_RUNTIME_PARAM,
        format!("parameter \"{}\" cannot be changed", setting.name),
    )
}

/// The kind of a setting for ALTER SYSTEM.
fn whole_kind(setting: &Setting) -> &Kind {
    match &setting.kind {
        Kind::System(kind) => kind,
        kind => kind,
    }
}

fn check(setting: &Setting, values: &[String], current: &str) -> Result<String, SqlError> {
    check_as(setting, &setting.kind, values, current)
}

fn check_as(
    setting: &Setting,
    kind: &Kind,
    values: &[String],
    current: &str,
) -> Result<String, SqlError> {
    let joined = values.join(", ");
    let invalid = || {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "invalid value for parameter \"{}\": \"{joined}\"",
                Settings::canonical_name(setting.name).unwrap_or(setting.name)
            ),
        )
    };
    match kind {
        Kind::Names => {
            let quoted = values.iter().map(|name| tidemill_catalog::name::quote_identifier(name));
            Ok(if values.len() == 1 && joined.contains(',') {
                joined
            } else {
                quoted.collect::<Vec<_>>().join(", ")
            })
        }
        Kind::DateStyle => date_style(&joined, current).ok_or_else(invalid),
        _ if values.len() != 1 && !matches!(kind, Kind::Fixed(_)) => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("SET {} takes only one argument", setting.name),
        )),
        Kind::Text | Kind::Identity => Ok(joined),
        Kind::Bool => match joined.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" | "t" => Ok("on".to_owned()),
            "off" | "false" | "no" | "0" | "f" => Ok("off".to_owned()),
            _ => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("parameter \"{}\" requires a Boolean value", setting.name),
            )),
        },
        Kind::Word(words) => words
            .iter()
            .find(|word| word.eq_ignore_ascii_case(&joined))
            .map(|word| (*word).to_owned())
            .ok_or_else(|| invalid().with_hint(format!("Available values: {}.", words.join(", ")))),
        Kind::Integer(least, greatest) => {
            let number: i64 = joined.trim().parse().map_err(|_| invalid())?;
            if (*least..=*greatest).contains(&number) {
                Ok(number.to_string())
            } else {
                let message = format!(
                    "{number} is outside the valid range for parameter \"{}\" ({least} .. {greatest})",
                    setting.name
                );
                Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message))
            }
        }
        Kind::Milliseconds => {
            parse_milliseconds(&joined).map(|_| joined.clone()).ok_or_else(invalid)
        }
        Kind::TimeZone => time_zone(&joined).ok_or_else(invalid),
        Kind::Fixed(accepted) => {
            if accepted.iter().any(|value| value.eq_ignore_ascii_case(&joined)) {
                Ok(setting.default.to_owned())
            } else {
                Err(invalid().with_hint(format!("Only \"{}\" is supported.", setting.default)))
            }
        }
        Kind::ReadOnly => Err(read_only(setting)),
        Kind::System(_) => {
            Err(read_only(setting).with_hint(format!("Use ALTER SYSTEM SET {}.", setting.name)))
        }
    }
}

/// A style and an order as they are shown; what is not given stays as it is. None if a word is
/// not known, or two contradict each other.
fn date_style(text: &str, current: &str) -> Option<String> {
    let (mut style, mut order) = (None, None);
    for word in text.split(',').map(str::trim) {
        let word = word.to_ascii_lowercase();
        let place = match word.as_str() {
            "iso" => (Some("ISO"), None),
            "sql" => (Some("SQL"), None),
            "german" => (Some("German"), None),
            "ymd" => (None, Some("YMD")),
            "dmy" => (None, Some("DMY")),
            "mdy" | "us" => (None, Some("MDY")),
            "default" => (Some("ISO"), Some("MDY")),
            _ if word.starts_with("postgres") => (Some("Postgres"), None),
            _ if word.starts_with("euro") => (None, Some("DMY")),
            _ if word.starts_with("noneuro") => (None, Some("MDY")),
            _ => return None,
        };
        for (known, given) in [(&mut style, place.0), (&mut order, place.1)] {
            if known.is_some() && given.is_some() && *known != given {
                return None;
            }
            *known = known.or(given);
        }
    }
    // Germans write the day first.
    let order = order.or((style == Some("German")).then_some("DMY"));
    let (old_style, old_order) = current.split_once(", ").unwrap_or(("ISO", "MDY"));
    Some(format!("{}, {}", style.unwrap_or(old_style), order.unwrap_or(old_order)))
}

/// The name of a time zone as it is kept: its own, where it is known.
fn time_zone(text: &str) -> Option<String> {
    let text = text.trim().trim_matches('\'');
    let text = if text.eq_ignore_ascii_case("local") || text.eq_ignore_ascii_case("default") {
        "UTC"
    } else {
        text
    };
    tidemill_repr::time::TimeZone::parse(text).ok().map(|_| text.to_owned())
}

/// Milliseconds of `250`, `1s`, `2min`, `1 h` or `1d`.
fn parse_milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(settings: &mut Settings, name: &str, value: &str) -> Result<(), SqlError> {
        settings.set(name, &[value.to_owned()], false).map(|_| ())
    }

    #[test]
    fn values_are_checked_and_local_ones_end_with_the_transaction() {
        let mut settings = Settings::default();
        set(&mut settings, "statement_timeout", "2s").unwrap();
        assert_eq!(settings.milliseconds("statement_timeout"), Some(2000));
        assert!(set(&mut settings, "statement_timeout", "soon").is_err());
        assert!(set(&mut settings, "extra_float_digits", "9").is_err());
        assert_eq!(
            set(&mut settings, "server_version", "1").unwrap_err().code,
            SqlState::CANT_CHANGE_RUNTIME_PARAM
        );
        assert_eq!(
            set(&mut settings, "no_such", "1").unwrap_err().code,
            SqlState::UNDEFINED_OBJECT
        );
        settings.set("search_path", &["a".to_owned(), "B".to_owned()], true).unwrap();
        assert_eq!(settings.search_path(), ["a", "B"]);
        settings.end_transaction();
        assert_eq!(settings.search_path(), ["public"]);
    }
}
