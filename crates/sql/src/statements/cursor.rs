//! Cursors and prepared statements.

use sqlparser::ast::Expr;
use tidemill_repr::{SqlError, SqlState};

use super::options::Options;
use super::{Planning, command};
use crate::ast::{Declare, Execute, Fetch, Prepare, Statement};
use crate::parse::ParsedStatement;
use crate::plan::{DeclarePlan, ExecutePlan, FetchPlan, Plan, Planned, PreparePlan};
use crate::query::{self, Scope};

impl Planning<'_> {
    pub(super) fn declare(&self, statement: &Declare) -> Result<Planned, SqlError> {
        let source = match &*statement.statement {
            Statement::Query(query) => self.select(query)?,
            Statement::Subscribe(subscribe) => self.subscribe(subscribe)?,
            _ => return Err(SqlError::internal("a cursor for another statement")),
        };
        if statement.hold && matches!(&*statement.statement, Statement::Subscribe(_)) {
            return Err(SqlError::unsupported("a cursor WITH HOLD for SUBSCRIBE"));
        }
        let parameters = source.parameters.clone();
        let plan = DeclarePlan {
            name: statement.name.value.clone(),
            hold: statement.hold,
            source: Box::new(source),
        };
        Ok(Planned { parameters, ..command(Plan::Declare(plan)) })
    }

    pub(super) fn fetch(&self, statement: &Fetch) -> Result<Planned, SqlError> {
        let mut options = Options::new("FETCH", &statement.options)?;
        let timeout_micros = match options.text("TIMEOUT")? {
            None => None,
            Some(text) => Some(timeout(&text).ok_or_else(|| {
                options.wrong("TIMEOUT", "a time such as '1s', '100ms' or '2 minutes'")
            })?),
        };
        options.finish()?;
        Ok(command(Plan::Fetch(FetchPlan {
            name: statement.name.value.clone(),
            count: statement.count,
            timeout_micros,
        })))
    }

    pub(super) fn prepare(&self, statement: &Prepare) -> Result<Planned, SqlError> {
        let types = statement
            .types
            .iter()
            .map(|typ| Ok(Some(self.planner.data_type(typ)?.scalar_type)))
            .collect::<Result<Vec<_>, SqlError>>()?;
        let prepared = ParsedStatement {
            statement: (*statement.statement).clone(),
            text: self.statement.text.clone(),
            whole: self.statement.whole.clone(),
        };
        // Wrong statements are refused now, not when they are run.
        let planning = Planning { statement: &prepared, parameters: &types, ..*self };
        planning.plan(&prepared.statement)?;
        let name = statement.name.value.clone();
        Ok(command(Plan::Prepare(PreparePlan { name, statement: prepared, types })))
    }

    pub(super) fn execute(&self, statement: &Execute) -> Result<Planned, SqlError> {
        let context = self.context();
        let parameters = statement
            .parameters
            .iter()
            .map(|expr: &Expr| Ok(query::plan_scalar(&context, &Scope::default(), expr)?.expr))
            .collect::<Result<Vec<_>, SqlError>>()?;
        if !context.parameter_types()?.is_empty() {
            return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, "there is no parameter $1"));
        }
        let name = statement.name.value.clone();
        Ok(command(Plan::Execute(ExecutePlan { name, parameters })))
    }
}

/// A number and a unit, in microseconds; without unit: seconds.
fn timeout(text: &str) -> Option<u64> {
    let text = text.trim().to_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().ok()?;
    let micros = match unit.trim() {
        "us" | "microsecond" | "microseconds" => 1.0,
        "ms" | "millisecond" | "milliseconds" => 1e3,
        "" | "s" | "sec" | "second" | "seconds" => 1e6,
        "m" | "min" | "minute" | "minutes" => 60e6,
        "h" | "hour" | "hours" => 3600e6,
        "d" | "day" | "days" => 86400e6,
        _ => return None,
    };
    let total = (number * micros).round();
    // Less than three hundred years, so it is exact enough and fits.
    (0.0..9e15).contains(&total).then_some(total as u64)
}
