//! Settings as `pg_settings` shows them.

use super::definitions::{Kind, Setting};
use super::{Settings, all_settings, whole_kind};

/// A setting and its present value.
pub struct ShownSetting<'a> {
    /// Its name.
    pub name: &'static str,
    /// Its value; a time span in milliseconds.
    pub value: String,
    /// The unit of that.
    pub unit: Option<&'static str>,
    /// What it is for.
    pub doc: &'static str,
    /// When it can be set: `user`, `sighup` (for the whole server), `internal` (never).
    pub context: &'static str,
    /// `bool`, `enum`, `integer` or `string`.
    pub kind: &'static str,
    /// Where the value is from: `default`, `session`, `user` (what it began with).
    pub source: &'static str,
    /// The least value of an integer.
    pub min: Option<String>,
    /// The greatest value of an integer.
    pub max: Option<String>,
    /// The words of an enum.
    pub words: &'a [&'static str],
    /// The value of every server.
    pub boot: String,
    /// The value after RESET.
    pub reset: String,
}

impl Settings {
    /// All settings as `pg_settings` shows them.
    pub fn shown(&self) -> Vec<ShownSetting<'static>> {
        all_settings().map(|setting| self.show(setting)).collect()
    }

    fn show(&self, setting: &'static Setting) -> ShownSetting<'static> {
        let kind = whole_kind(setting);
        let (typ, unit, bounds, words): (_, _, _, &[&'static str]) = match kind {
            Kind::Bool => ("bool", None, None, &[]),
            Kind::Word(words) | Kind::Fixed(words) => ("enum", None, None, words),
            Kind::Integer(least, most) => ("integer", None, Some((*least, *most)), &[]),
            Kind::Milliseconds => ("integer", Some("ms"), Some((0, i64::from(i32::MAX))), &[]),
            Kind::Number => ("real", None, None, &[]),
            _ => ("string", None, None, &[]),
        };
        let plain = |text: &str| match kind {
            Kind::Milliseconds => milliseconds(text),
            _ => text.to_owned(),
        };
        let began = self.defaults.get(setting.name).map_or(setting.default, String::as_str);
        let set = self.local.contains_key(setting.name) || self.session.contains_key(setting.name);
        let source = match (set, self.defaults.contains_key(setting.name)) {
            (true, _) => "session",
            (false, true) => "user",
            (false, false) => "default",
        };
        ShownSetting {
            name: Settings::canonical_name(setting.name).unwrap_or(setting.name),
            value: plain(self.value(setting)),
            unit,
            doc: setting.doc,
            context: match setting.kind {
                Kind::ReadOnly => "internal",
                Kind::System(_) => "sighup",
                _ => "user",
            },
            kind: typ,
            source,
            min: bounds.map(|(least, _)| least.to_string()),
            max: bounds.map(|(_, most)| most.to_string()),
            words,
            boot: plain(setting.default),
            reset: plain(began),
        }
    }
}

/// A time span as a number of milliseconds.
fn milliseconds(text: &str) -> String {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return text.to_owned(),
    };
    number.parse::<i64>().map_or_else(|_| text.to_owned(), |n| (n * factor).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::check_as;
    use super::*;

    #[test]
    fn every_setting_is_shown() {
        let mut settings = Settings::default();
        settings.set("statement_timeout", &["2s".to_owned()], false).unwrap();
        let shown = settings.shown();
        assert_eq!(shown.len(), all_settings().count());
        let timeout = shown.iter().find(|shown| shown.name == "statement_timeout").unwrap();
        assert_eq!((timeout.value.as_str(), timeout.unit), ("2000", Some("ms")));
        assert_eq!((timeout.source, timeout.reset.as_str()), ("session", "0"));
        for setting in all_settings().filter(|setting| matches!(setting.kind, Kind::Bool)) {
            let text = vec![setting.default.to_owned()];
            assert!(check_as(setting, whole_kind(setting), &text, setting.default).is_ok());
        }
    }
}
