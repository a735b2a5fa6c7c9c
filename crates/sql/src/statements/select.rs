//! SELECT, and what follows a query: SUBSCRIBE.

use tidemill_plan::{Id, QueryExpr, RelationType};
use tidemill_repr::{RelationDesc, SqlError};

use super::options::Options;
use super::{Planning, rows};
use crate::ast::{QueryStatement, Subscribe, SubscribeTarget};
use crate::names;
use crate::plan::{Plan, Planned, SelectPlan, SubscribePlan};
use crate::query;

impl Planning<'_> {
    pub(super) fn select(&self, statement: &QueryStatement) -> Result<Planned, SqlError> {
        if let Some(planned) = self.select_into(statement) {
            return planned;
        }
        let as_of = self.as_of(statement.as_of.as_ref())?;
        let context = self.context();
        let planned = query::plan_top_query(&context, &statement.query)?;
        let parameters = context.parameter_types()?;
        let plan = SelectPlan {
            query: planned.query,
            desc: planned.desc.clone(),
            finishing: planned.finishing,
            as_of,
            set_config: context.set_config.take(),
        };
        Ok(rows(Plan::Select(plan), parameters, planned.desc))
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
        let plan = SubscribePlan { query, desc, snapshot, progress, as_of, up_to };
        let desc = plan.output_desc();
        Ok(rows(Plan::Subscribe(plan), parameters, desc))
    }
}

/// All rows of an object.
pub(super) fn get(id: tidemill_repr::ObjectId, desc: &RelationDesc) -> QueryExpr {
    let typ = RelationType { columns: desc.types(), keys: desc.keys.clone() };
    QueryExpr::Get { id: Id::Global(id), typ }
}
