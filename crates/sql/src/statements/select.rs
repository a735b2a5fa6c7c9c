//! SELECT, and what follows a query: SUBSCRIBE.

use sqlparser::ast::{Expr, Ident};
use tidemill_plan::{ColumnOrder, Id, QueryExpr, RelationType};
use tidemill_repr::{RelationDesc, SqlError, SqlState};

use super::options::Options;
use super::{Planning, rows};
use crate::ast::{QueryStatement, Subscribe, SubscribeOutput, SubscribeTarget};
use crate::names;
use crate::origins::origins;
use crate::plan::{Notice, Plan, Planned, SelectPlan, SubscribeForm, SubscribeKey, SubscribePlan};
use crate::query;

impl Planning<'_> {
    pub(super) fn select(&self, statement: &QueryStatement) -> Result<Planned, SqlError> {
        if let Some(planned) = self.select_into(statement) {
            return planned;
        }
        if super::dml::writes(&statement.query) {
            return self.with_writes(statement);
        }
        let as_of = self.as_of(statement.as_of.as_ref())?;
        let context = self.context();
        let mut planned = query::plan_top_query(&context, &statement.query)?;
        let parameters = context.parameter_types()?;
        let project = &planned.finishing.project;
        planned.desc.origins = origins(self.planner.catalog, &planned.query, project);
        let plan = SelectPlan {
            query: planned.query,
            desc: planned.desc.clone(),
            finishing: planned.finishing,
            as_of,
            set_config: context.set_config.take(),
        };
        let mut planned = rows(Plan::Select(plan), parameters, planned.desc);
        if context.locks.get() {
            let message = "no row is locked: a transaction that writes fails at COMMIT if what it \
                           read has changed";
            planned.notices.push(Notice::new(SqlState("00000"), message.to_owned()));
        }
        Ok(planned)
    }

    pub(super) fn subscribe(&self, statement: &Subscribe) -> Result<Planned, SqlError> {
        let mut options = Options::new("SUBSCRIBE", &statement.options)?;
        let snapshot = options.boolean("SNAPSHOT")?.unwrap_or(true);
        let progress = options.boolean("PROGRESS")?.unwrap_or(false);
        options.finish()?;
        let as_of = self.as_of(statement.as_of.as_ref())?;
        let up_to = match &statement.up_to {
            None => None,
            Some(up_to) => Some(self.tick(up_to, "UP TO")?),
        };
        let mut parameters = self.given_parameters();
        let (query, desc) = match &statement.target {
            SubscribeTarget::Object(name) => {
                let session = self.planner.session;
                let item = self.planner.catalog.resolve_relation(
                    session.database,
                    session.search_path,
                    &names::parts(name)?,
                )?;
                let desc = item.desc().cloned().unwrap_or_default();
                (get(item.id, &desc), desc)
            }
            SubscribeTarget::Query(query) => {
                let context = self.context();
                let planned = query::plan_view_query(&context, query)?;
                parameters = context.parameter_types()?;
                planned
            }
        };
        let form = form(&statement.output, &desc)?;
        let plan = SubscribePlan { query, desc, form, snapshot, progress, as_of, up_to };
        let desc = plan.output_desc();
        Ok(rows(Plan::Subscribe(plan), parameters, desc))
    }
}

/// What the changes of one moment look like.
fn form(output: &SubscribeOutput, desc: &RelationDesc) -> Result<SubscribeForm, SqlError> {
    let find = |name: &Ident| {
        let wanted = &name.value;
        let mut found =
            desc.columns.iter().enumerate().filter(|(_, column)| column.name == *wanted);
        match (found.next(), found.next()) {
            (Some((position, _)), None) => Ok(position),
            (Some(_), Some(_)) => Err(SqlError::new(
                SqlState::AMBIGUOUS_COLUMN,
                format!("column reference \"{wanted}\" is ambiguous"),
            )),
            (None, _) => Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{wanted}\" does not exist"),
            )),
        }
    };
    let split = |names: &[Ident]| {
        let mut key = Vec::new();
        for name in names {
            let position = find(name)?;
            if key.contains(&position) {
                return Err(SqlError::new(
                    SqlState::DUPLICATE_COLUMN,
                    format!("column \"{}\" specified more than once", name.value),
                ));
            }
            key.push(position);
        }
        let others = (0..desc.arity()).filter(|position| !key.contains(position)).collect();
        Ok(SubscribeKey { key, others })
    };
    Ok(match output {
        SubscribeOutput::Diffs => SubscribeForm::Diffs(Vec::new()),
        SubscribeOutput::Upsert(names) => SubscribeForm::Upsert(split(names)?),
        SubscribeOutput::Debezium(names) => SubscribeForm::Debezium(split(names)?),
        SubscribeOutput::Ordered(keys) => {
            let mut order = Vec::new();
            for key in keys {
                let Expr::Identifier(name) = &key.expr else {
                    return Err(SqlError::unsupported(
                        "WITHIN TIMESTAMP ORDER BY something else than a column",
                    ));
                };
                // The columns stand behind the diff.
                let column = match name.value.as_str() {
                    "mz_diff" => 0,
                    _ => find(name)? + 1,
                };
                order.push(ColumnOrder { column, direction: query::direction(key)? });
            }
            SubscribeForm::Diffs(order)
        }
    })
}

/// All rows of an object.
pub(super) fn get(id: tidemill_repr::ObjectId, desc: &RelationDesc) -> QueryExpr {
    let typ = RelationType { columns: desc.types(), keys: desc.keys.clone() };
    QueryExpr::Get { id: Id::Global(id), typ }
}
