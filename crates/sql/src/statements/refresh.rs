//! `REFRESH` of materialized views: when one is computed that does not follow each commit.

use sqlparser::ast::{Expr, Value};
use tidemill_catalog::refresh::{Every, Refresh};
use tidemill_repr::text::{TextSettings, format_into};
use tidemill_repr::{Datum, ScalarType, SqlError, SqlState, Tick};

use super::Planning;
use super::constant::EPOCH_MILLIS;
use super::options::milliseconds;
use crate::ast::{NamedOption, OptionValue, RefreshOption};

const OPTION: &str = "REFRESH";

/// Whether an option is one of these.
pub(super) fn is_refresh(option: &NamedOption) -> bool {
    option.name == OPTION
}

impl Planning<'_> {
    /// What these options say, and the options with all times written out; None if the view
    /// follows each commit.
    ///
    /// # Errors
    /// They contradict each other, or a time is none.
    pub(super) fn refresh(
        &self,
        options: &[NamedOption],
    ) -> Result<Option<(Refresh, Vec<NamedOption>)>, SqlError> {
        let now = u64::try_from(self.planner.session.now.div_euclid(1000) + EPOCH_MILLIS);
        let created = now.unwrap_or(0);
        let mut refresh = Refresh { created, ..Refresh::default() };
        let mut written = Vec::new();
        let mut on_commit = 0;
        for option in options {
            let OptionValue::Refresh(said) = &option.value else {
                return Err(SqlError::internal("a REFRESH without its time"));
            };
            let written_out = match said {
                RefreshOption::OnCommit => {
                    on_commit += 1;
                    continue;
                }
                RefreshOption::AtCreation if refresh.at_creation => {
                    return Err(wrong("REFRESH AT CREATION cannot be specified multiple times"));
                }
                RefreshOption::AtCreation => {
                    refresh.at_creation = true;
                    RefreshOption::AtCreation
                }
                RefreshOption::At(time) => {
                    let time = self.time(time, created, "REFRESH AT")?;
                    refresh.at.push(time);
                    RefreshOption::At(Box::new(literal(time)))
                }
                RefreshOption::Every { interval, aligned_to } => {
                    let aligned_to = match aligned_to {
                        Some(time) => Some(self.time(time, created, "ALIGNED TO")?),
                        None => None,
                    };
                    let every = Every { interval: distance(interval)?, aligned_to };
                    refresh.every.push(every);
                    let from = aligned_to.unwrap_or(created);
                    let aligned_to = Some(Box::new(literal(from)));
                    RefreshOption::Every { interval: interval.clone(), aligned_to }
                }
            };
            let value = OptionValue::Refresh(written_out);
            written.push(NamedOption { name: OPTION.to_owned(), value });
        }
        match (on_commit, written.is_empty()) {
            (0, true) | (1, true) => Ok(None),
            (0, false) => {
                refresh.at.sort_unstable();
                Ok(Some((refresh, written)))
            }
            (_, true) => Err(wrong("REFRESH ON COMMIT cannot be specified multiple times")),
            (_, false) => Err(wrong(
                "REFRESH ON COMMIT is not compatible with any of the other REFRESH options",
            )),
        }
    }

    /// A time, in milliseconds since 1970. `mz_now()` is the creation.
    fn time(&self, expr: &Expr, created: u64, clause: &str) -> Result<u64, SqlError> {
        let (row, typ) = self.constant_at(expr, Some(Tick(created)))?;
        self.tick_of(&row, &typ, clause).map(|tick| tick.0)
    }
}

/// A time as a text that is the same in all time zones.
fn literal(time: u64) -> Expr {
    let millis = i64::try_from(time).unwrap_or(i64::MAX).saturating_sub(EPOCH_MILLIS);
    let datum = Datum::TimestampTz(millis.saturating_mul(1000));
    let mut text = String::new();
    let settings = TextSettings::default();
    format_into(&datum, &ScalarType::TimestampTz, &settings, &mut text);
    Expr::value(Value::SingleQuotedString(text))
}

/// The distance of two times, in milliseconds.
fn distance(text: &str) -> Result<u64, SqlError> {
    milliseconds(text).filter(|millis| *millis > 0).ok_or_else(|| {
        wrong("REFRESH EVERY requires a positive time span without months, such as '1 hour'")
    })
}

fn wrong(message: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
