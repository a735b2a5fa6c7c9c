//! Options: each taken by name, once; what is left over is refused by name.

use tidemill_repr::{SqlError, SqlState};

use crate::ast::{NamedOption, OptionValue};
use crate::names;

/// The options of a statement.
pub(super) struct Options<'a> {
    statement: &'static str,
    left: Vec<&'a NamedOption>,
}

/// The most history that is kept, in milliseconds.
const MOST_MILLIS: i64 = 3660 * 86_400_000;

/// Milliseconds of a time span, such as `1 hour` or `2 days`. None if it has months, is negative
/// or too long.
pub(super) fn milliseconds(text: &str) -> Option<u64> {
    let interval = tidemill_repr::interval::parse_interval(text).ok()?;
    let days = i64::from(interval.days).checked_mul(86_400_000)?;
    let millis = days.checked_add(interval.micros / 1000)?;
    (interval.months == 0 && (0..=MOST_MILLIS).contains(&millis))
        .then(|| u64::try_from(millis).unwrap_or(0))
}

/// A time span in milliseconds as [`milliseconds`] reads it.
pub(super) fn span_text(millis: u64) -> String {
    let units = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1000, "second")];
    let whole = units.iter().find(|(unit, _)| millis > 0 && millis.is_multiple_of(*unit));
    let (unit, name) = whole.copied().unwrap_or((1, "millisecond"));
    let count = millis / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

impl<'a> Options<'a> {
    /// The options of a statement.
    ///
    /// # Errors
    /// One is given twice.
    pub(super) fn new(
        statement: &'static str,
        options: &'a [NamedOption],
    ) -> Result<Options<'a>, SqlError> {
        for (index, option) in options.iter().enumerate() {
            if options.iter().take(index).any(|other| other.name == option.name) {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    format!("{statement} specifies option {} more than once", option.name),
                ));
            }
        }
        Ok(Options { statement, left: options.iter().collect() })
    }

    /// The option of this name, which is then used up.
    pub(super) fn take(&mut self, name: &str) -> Option<&'a OptionValue> {
        let index = self.left.iter().position(|option| option.name == name)?;
        Some(&self.left.remove(index).value)
    }

    /// A text, also written as a name or number.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, SqlError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        match value {
            OptionValue::Text(text) | OptionValue::Number(text) => Ok(Some(text.clone())),
            OptionValue::Name(word) => Ok(Some(names::parts(word)?.join("."))),
            _ => Err(self.wrong(name, "a text")),
        }
    }

    /// A text that must be there.
    pub(super) fn required_text(&mut self, name: &str) -> Result<String, SqlError> {
        match self.text(name)? {
            Some(text) => Ok(text),
            None => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("{} requires option {name}", self.statement),
            )),
        }
    }

    /// A boolean; alone the name is true.
    pub(super) fn boolean(&mut self, name: &str) -> Result<Option<bool>, SqlError> {
        let Some(value) = self.take(name) else { return Ok(None) };
        let word = match value {
            OptionValue::None => return Ok(Some(true)),
            OptionValue::Text(text) | OptionValue::Number(text) => text.to_lowercase(),
            OptionValue::Name(word) => names::parts(word)?.join(".").to_lowercase(),
            _ => return Err(self.wrong(name, "a boolean")),
        };
        match word.as_str() {
            "true" | "on" | "1" | "yes" => Ok(Some(true)),
            "false" | "off" | "0" | "no" => Ok(Some(false)),
            _ => Err(self.wrong(name, "a boolean")),
        }
    }

    /// Names with dots: the parts of each.
    pub(super) fn name_list(&mut self, name: &str) -> Result<Vec<Vec<String>>, SqlError> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(OptionValue::List(list)) => list.iter().map(names::parts).collect(),
            Some(OptionValue::Name(single)) => Ok(vec![names::parts(single)?]),
            Some(_) => Err(self.wrong(name, "a list of names in parentheses")),
        }
    }

    /// `RETAIN HISTORY FOR '..'`: milliseconds.
    pub(super) fn history(&mut self) -> Result<Option<u64>, SqlError> {
        const NAME: &str = "RETAIN HISTORY";
        match self.text(NAME)? {
            Some(text) => milliseconds(&text).map(Some).ok_or_else(|| {
                self.wrong(NAME, "a time span of at most 10 years, such as '1 hour'")
            }),
            None => Ok(None),
        }
    }

    /// Refuses an option that is known and not supported.
    pub(super) fn refuse(&mut self, name: &str) -> Result<(), SqlError> {
        match self.take(name) {
            None => Ok(()),
            Some(_) => {
                Err(SqlError::unsupported(format_args!("option {name} of {}", self.statement)))
            }
        }
    }

    /// An option has a value of the wrong kind.
    pub(super) fn wrong(&self, name: &str, wanted: &str) -> SqlError {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("option {name} of {} requires {wanted}", self.statement),
        )
    }

    /// Refuses what is left over.
    pub(super) fn finish(self) -> Result<(), SqlError> {
        match self.left.first() {
            None => Ok(()),
            Some(option) => Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unrecognized option {} of {}", option.name, self.statement),
            )),
        }
    }
}
