//! The settings of a session. What settings there are is listed in [`definitions`].

mod definitions;
mod shown;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tidemill_repr::text::{DateOrder, DateStyle, IntervalStyle, OidNames, TextSettings};
use tidemill_repr::{Lsn, SqlError, SqlState};

use self::definitions::{IGNORED, Kind, SETTINGS, Setting};
pub use self::definitions::{MZ_VERSION, SERVER_VERSION};
pub use self::shown::ShownSetting;

/// The settings of one session.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    session: BTreeMap<&'static str, String>,
    local: BTreeMap<&'static str, String>,
    /// What the session began with, where that is not the usual value.
    defaults: BTreeMap<&'static str, String>,
    /// Settings of the client's own: their names have a dot, and nobody here reads them.
    custom: BTreeMap<String, String>,
    custom_local: BTreeMap<String, String>,
    /// Settings with the same number are the same.
    generation: u64,
    quick: Quick,
}

/// The settings that each statement asks for, ready to be used.
#[derive(Clone, Copy, Debug)]
pub struct Quick {
    /// In milliseconds; None: for ever.
    pub statement_timeout: Option<u64>,
    /// Likewise.
    pub transaction_timeout: Option<u64>,
    /// In bytes.
    pub max_query_result_size: u64,
    /// Whether each query tells its tick.
    pub emit_timestamp_notice: bool,
    /// Whether reads wait for what upstreams have committed.
    pub real_time_recency: bool,
    /// The position that reads wait for.
    pub wait_for_lsn: Option<Lsn>,
}

impl Default for Quick {
    fn default() -> Quick {
        Quick {
            statement_timeout: None,
            transaction_timeout: None,
            max_query_result_size: 1 << 30,
            emit_timestamp_notice: false,
            real_time_recency: false,
            wait_for_lsn: None,
        }
    }
}

/// How many custom settings a session may have, and how long one may be.
const CUSTOM_SETTINGS: usize = 1000;
const CUSTOM_BYTES: usize = 1 << 20;

fn all_settings() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().chain(IGNORED)
}

/// The key of a setting of the client's own, if the name can be one's.
fn custom_key(name: &str) -> Option<String> {
    let part = |part: &str| {
        let mut characters = part.chars();
        characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
            && characters.all(|other| other.is_alphanumeric() || other == '_' || other == '$')
    };
    let is_ours = name.to_ascii_lowercase().starts_with("tidemill.");
    let parts: Vec<&str> = name.split('.').collect();
    (parts.len() > 1 && !is_ours && parts.into_iter().all(part)).then(|| name.to_ascii_lowercase())
}

fn find(name: &str) -> Result<&'static Setting, SqlError> {
    let name = match name.to_ascii_lowercase().as_str() {
        "time zone" => "timezone".to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        "schema" => "search_path".to_owned(),
        "names" => "client_encoding".to_owned(),
        other => other.to_owned(),
    };
    all_settings().find(|setting| setting.name == name).ok_or_else(|| {
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
        if let Some(key) = custom_key(name)
            && let Some(value) = self.custom_local.get(&key).or_else(|| self.custom.get(&key))
        {
            return Ok(value);
        }
        Ok(self.value(find(name)?))
    }

    /// Whether a boolean setting is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_ok_and(|value| value == "on")
    }

    /// Changes whenever a setting does.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What was changed must be seen by plans that were made before.
    fn changed(&mut self) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        self.generation = NEXT.fetch_add(1, Ordering::Relaxed);
        self.quick = Quick {
            statement_timeout: self.milliseconds("statement_timeout"),
            transaction_timeout: self.milliseconds("transaction_timeout"),
            max_query_result_size: self.bytes("max_query_result_size").unwrap_or(u64::MAX),
            emit_timestamp_notice: self.is_on("emit_timestamp_notice"),
            real_time_recency: self.is_on("real_time_recency"),
            wait_for_lsn: self.lsn("tidemill.wait_for_lsn"),
        };
    }

    /// What each statement asks for.
    pub fn quick(&self) -> Quick {
        self.quick
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
        Ok(shown_name(find(name)?))
    }

    /// Whether a setting is accepted and changes nothing.
    pub fn is_without_effect(name: &str) -> bool {
        find(name).is_ok_and(|setting| setting.without_effect)
    }

    /// Sets one of the client's own. False if the name is not that of such a one.
    fn set_custom(&mut self, name: &str, values: &[String], local: bool) -> Result<bool, SqlError> {
        let Some(key) = custom_key(name).filter(|_| find(name).is_err()) else { return Ok(false) };
        let value = values.join(", ");
        let full = !self.custom.contains_key(&key) && self.custom.len() >= CUSTOM_SETTINGS;
        if full || value.len() > CUSTOM_BYTES {
            return Err(SqlError::new(
                SqlState::CONFIGURATION_LIMIT_EXCEEDED,
                format!("too many or too large settings of the client's own: \"{name}\""),
            ));
        }
        if local {
            // What was set for a transaction leaves an empty value behind, as in PostgreSQL.
            self.custom.entry(key.clone()).or_default();
            self.custom_local.insert(key, value);
        } else {
            self.custom_local.remove(&key);
            self.custom.insert(key, value);
        }
        self.changed();
        Ok(true)
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
        if self.set_custom(name, values, local)? {
            return Ok(None);
        }
        let setting = find(name)?;
        let value = check(setting, values, self.value(setting))?;
        let map = if local { &mut self.local } else { &mut self.session };
        map.insert(setting.name, value);
        if !local {
            self.local.remove(setting.name);
        }
        self.changed();
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
            self.changed();
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
        if let Some(key) = custom_key(name)
            && self.custom.remove(&key).is_some()
        {
            self.custom_local.remove(&key);
            self.changed();
            return Ok(None);
        }
        let setting = find(name)?;
        if matches!(setting.kind, Kind::ReadOnly | Kind::System(_)) {
            return Err(read_only(setting));
        }
        self.session.remove(setting.name);
        self.local.remove(setting.name);
        self.changed();
        Ok(self.report(setting))
    }

    /// Puts all defaults back; who the session is stays.
    pub fn reset_all(&mut self) {
        let identity = |name: &&'static str| Settings::is_identity(name);
        self.session.retain(|name, _| identity(name));
        self.local.retain(|name, _| identity(name));
        self.custom.clear();
        self.custom_local.clear();
        self.changed();
    }

    /// Makes the session who it was at first.
    pub fn reset_identity(&mut self) {
        self.session.retain(|name, _| !Settings::is_identity(name));
        self.local.retain(|name, _| !Settings::is_identity(name));
        self.changed();
    }

    /// Ends what was set for a transaction.
    pub fn end_transaction(&mut self) {
        if !(self.local.is_empty() && self.custom_local.is_empty()) {
            self.local.clear();
            self.custom_local.clear();
            self.changed();
        }
    }

    /// Whether something is set for the transaction alone.
    pub fn has_local(&self) -> bool {
        !self.local.is_empty()
    }

    fn report(&self, setting: &'static Setting) -> Option<(&'static str, String)> {
        let name = Settings::canonical_name(setting.name).ok()?;
        setting.reported.then(|| (name, self.value(setting).to_owned()))
    }

    /// All settings that clients are told of.
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        all_settings().filter_map(|setting| self.report(setting)).collect()
    }

    /// (name, value, description) of all settings, in the order of their names.
    pub fn all(&self) -> Vec<(&'static str, &str, String)> {
        let described = |setting: &'static Setting| match setting.without_effect {
            true => format!("Accepted, without effect. {}", setting.doc),
            false => setting.doc.to_owned(),
        };
        let mut all: Vec<_> = all_settings()
            .map(|setting| (shown_name(setting), self.value(setting), described(setting)))
            .collect();
        all.sort_unstable_by_key(|(name, _, _)| name.to_ascii_lowercase());
        all
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
            names: OidNames::default(),
        }
    }

    /// An amount of memory in bytes.
    pub fn bytes(&self, name: &str) -> Option<u64> {
        parse_memory(self.get(name).ok()?, 1)
    }

    /// A position in an upstream's log; None where none is set.
    pub fn lsn(&self, name: &str) -> Option<Lsn> {
        self.get(name).ok()?.parse().ok()
    }

    /// A time span in milliseconds; None where it is 0.
    pub fn milliseconds(&self, name: &str) -> Option<u64> {
        let text = self.get(name).ok()?;
        parse_milliseconds(text).filter(|millis| *millis > 0)
    }
}

fn shown_name(setting: &Setting) -> &'static str {
    match setting.name {
        "timezone" => "TimeZone",
        "datestyle" => "DateStyle",
        "intervalstyle" => "IntervalStyle",
        other => other,
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
        Kind::Number => match joined.trim().parse::<f64>() {
            Ok(_) => Ok(joined.trim().to_owned()),
            Err(_) => Err(invalid()),
        },
        Kind::Milliseconds => parse_milliseconds(&joined).map(show_milliseconds).ok_or_else(|| {
            let units = "\"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\"";
            invalid().with_hint(format!("Valid units for this parameter are {units}."))
        }),
        Kind::Memory(unit) => parse_memory(&joined, *unit).map(show_memory).ok_or_else(|| {
            let units = "\"B\", \"kB\", \"MB\", \"GB\", and \"TB\"";
            invalid().with_hint(format!("Valid units for this parameter are {units}."))
        }),
        Kind::Lsn if joined.trim().is_empty() => Ok(String::new()),
        Kind::Lsn => joined.trim().parse::<Lsn>().map(|lsn| lsn.to_string()).map_err(|_| {
            invalid().with_hint(
                "Give what pg_current_wal_lsn() of the upstream says, such as '0/16B3748'.",
            )
        }),
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

/// The number and the unit of `250`, `1.5s` or `2 min`; the number in thousandths.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let thousandths = format!("{fraction:0<3}").get(..3)?.parse::<u64>().ok()?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let valid = number.bytes().any(|byte| byte.is_ascii_digit());
    let scaled = whole.checked_mul(1000)?.checked_add(thousandths)?;
    valid.then_some((scaled, unit.trim()))
}

/// Milliseconds of `250`, `1.5s`, `2min`, `1 h` or `1d`.
fn parse_milliseconds(text: &str) -> Option<u64> {
    let (thousandths, unit) = number_and_unit(text)?;
    if unit == "us" {
        return Some(thousandths.div_ceil(1_000_000));
    }
    let unit: u64 = match unit {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let millis = thousandths.checked_mul(unit)? / 1000;
    i32::try_from(millis).is_ok().then_some(millis)
}

/// A time span in the largest unit of which it is a whole number, as PostgreSQL shows it.
fn show_milliseconds(millis: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1000, "s"), (1, "ms")];
    let fits = units.into_iter().find(|(size, _)| millis.is_multiple_of(*size));
    match fits {
        Some((size, unit)) if millis > 0 => format!("{}{unit}", millis / size),
        _ => "0".to_owned(),
    }
}

/// Bytes of `4MB`, `1 GB` or, in units of `plain`, `64`.
fn parse_memory(text: &str, plain: u64) -> Option<u64> {
    let (thousandths, unit) = number_and_unit(text)?;
    let unit = match unit {
        "" => plain,
        "B" => 1,
        "kB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    let bytes = u128::from(thousandths) * u128::from(unit) / 1000;
    u64::try_from(bytes).ok().filter(|bytes| *bytes < 1 << 60)
}

fn show_memory(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"), (1, "B")];
    let fits = units.into_iter().find(|(size, _)| bytes.is_multiple_of(*size));
    match fits {
        Some((size, unit)) if bytes > 0 => format!("{}{unit}", bytes / size),
        _ => "0".to_owned(),
    }
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

    #[test]
    fn units_are_read_and_shown_as_postgresql_does() {
        for (given, shown) in [
            ("5000", "5s"),
            ("1.5s", "1500ms"),
            ("90s", "90s"),
            ("120 s", "2min"),
            ("0", "0"),
            ("1d", "1d"),
        ] {
            assert_eq!(parse_milliseconds(given).map(show_milliseconds).as_deref(), Some(shown));
        }
        for wrong in ["", "s", "1 week", "-1", "1..5", "99999999999999999999", "25d"] {
            assert_eq!(parse_milliseconds(wrong), None, "{wrong}");
        }
        assert_eq!(parse_memory("1.5GB", 1).map(show_memory).as_deref(), Some("1536MB"));
        assert_eq!(parse_memory("64", 1024).map(show_memory).as_deref(), Some("64kB"));
        assert_eq!(parse_memory("1 gb", 1), None);
    }

    #[test]
    fn names_of_the_client_have_a_dot() {
        let mut settings = Settings::default();
        set(&mut settings, "App.user", "7").unwrap();
        assert_eq!(settings.get("app.USER").unwrap(), "7");
        settings.set("app.other", &["x".to_owned()], true).unwrap();
        assert_eq!(settings.get("app.other").unwrap(), "x");
        settings.end_transaction();
        assert_eq!(settings.get("app.other").unwrap(), "");
        for wrong in ["app.", ".app", "a b.c", "tidemill.nothing", "nothing"] {
            assert!(set(&mut settings, wrong, "1").is_err(), "{wrong}");
        }
        settings.reset("app.user").unwrap();
        assert!(settings.get("app.user").is_err());
        assert!(set(&mut settings, "tidemill.wait_for_lsn", "16B3748").is_err());
        set(&mut settings, "tidemill.wait_for_lsn", "0/16b3748").unwrap();
        assert_eq!(settings.get("tidemill.wait_for_lsn").unwrap(), "0/16B3748");
    }
}
