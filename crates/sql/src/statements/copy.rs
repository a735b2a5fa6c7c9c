//! COPY .. TO STDOUT.

use tidemill_plan::Finishing;
use tidemill_repr::{RelationDesc, SqlError, SqlState};

use super::options::Options;
use super::select::get;
use super::{Planning, rows};
use crate::ast::{Copy, CopySource};
use crate::names;
use crate::plan::{CopyFormat, CopyPlan, Plan, Planned, SelectPlan};

impl Planning<'_> {
    pub(super) fn copy(&self, statement: &Copy) -> Result<Planned, SqlError> {
        if statement.from {
            return Err(SqlError::unsupported("COPY .. FROM STDIN"));
        }
        let mut options = Options::new("COPY", &statement.options)?;
        let format = format(&mut options)?;
        for name in ["DELIMITER", "NULL", "QUOTE", "ESCAPE", "FORCE_QUOTE", "ENCODING", "FREEZE"] {
            options.refuse(name)?;
        }
        options.finish()?;
        let source = match &statement.source {
            CopySource::Subscribe(subscribe) => self.subscribe(subscribe)?,
            CopySource::Query(query) => self.select(query)?,
            CopySource::Table(name, columns) => self.copy_table(name, columns)?,
        };
        let desc = source.desc.unwrap_or_default();
        let plan = Plan::Copy(CopyPlan { source: Box::new(source.plan), format });
        Ok(rows(plan, source.parameters, desc))
    }

    fn copy_table(
        &self,
        name: &sqlparser::ast::ObjectName,
        columns: &[sqlparser::ast::Ident],
    ) -> Result<Planned, SqlError> {
        let session = self.planner.session;
        let item = self.planner.catalog.resolve_relation(
            session.database,
            session.search_path,
            &names::parts(name)?,
        )?;
        let all = item.desc().cloned().unwrap_or_default();
        let project: Vec<usize> = if columns.is_empty() {
            (0..all.arity()).collect()
        } else {
            columns
                .iter()
                .map(|column| {
                    all.position(&column.value)
                        .ok_or_else(|| no_column(&column.value, &item.name.item))
                })
                .collect::<Result<_, _>>()?
        };
        let desc = RelationDesc {
            columns: project.iter().filter_map(|index| all.columns.get(*index).cloned()).collect(),
            keys: Vec::new(),
        };
        let query = get(item.id, &all);
        let finishing = Finishing { project, ..Finishing::default() };
        let plan = SelectPlan { query, desc: desc.clone(), finishing, as_of: None };
        Ok(rows(Plan::Select(plan), Vec::new(), desc))
    }
}

fn format(options: &mut Options<'_>) -> Result<CopyFormat, SqlError> {
    let format = options.text("FORMAT")?.unwrap_or_else(|| "text".to_owned());
    let header = options.boolean("HEADER")?;
    match (format.to_lowercase().as_str(), header) {
        ("csv", header) => Ok(CopyFormat::Csv { header: header.unwrap_or(false) }),
        ("text", None | Some(false)) => Ok(CopyFormat::Text),
        ("binary", None | Some(false)) => Ok(CopyFormat::Binary),
        ("text" | "binary", Some(true)) => {
            Err(SqlError::unsupported("option HEADER of COPY except with FORMAT csv"))
        }
        _ => Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!("COPY format \"{format}\" not recognized"),
        )),
    }
}

/// The error for a column that a relation has not.
pub(super) fn no_column(column: &str, relation: &str) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_COLUMN,
        format!("column \"{column}\" of relation \"{relation}\" does not exist"),
    )
}
