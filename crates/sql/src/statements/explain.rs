//! EXPLAIN.

use tidemill_catalog::ItemKind;
use tidemill_repr::{ColumnType, RelationDesc, ScalarType, SqlError};

use super::options::Options;
use super::{Planning, rows};
use crate::ast::{Explain, ExplainStage, Explainee, ObjectKind};
use crate::plan::{ExplainPlan, Explained, Plan, Planned};

impl Planning<'_> {
    pub(super) fn explain(&self, statement: &Explain) -> Result<Planned, SqlError> {
        let mut options = Options::new("EXPLAIN", &statement.options)?;
        if let Some(format) = options.text("FORMAT")?
            && format.to_lowercase() != "text"
        {
            return Err(SqlError::unsupported(format_args!("EXPLAIN with FORMAT {format}")));
        }
        for name in ["ANALYZE", "BUFFERS", "WAL", "TIMING", "SUMMARY"] {
            if options.boolean(name)? == Some(true) {
                return Err(SqlError::unsupported(format_args!("EXPLAIN with {name}")));
            }
        }
        // Costs and settings are not shown; VERBOSE adds nothing to a plan that shows all.
        for name in ["COSTS", "SETTINGS", "VERBOSE"] {
            options.boolean(name)?;
        }
        options.finish()?;
        let mut parameters = Vec::new();
        let explainee = match &statement.explainee {
            Explainee::Object(kind, name) => {
                let kind = match kind {
                    ObjectKind::Index => ItemKind::Index,
                    ObjectKind::MaterializedView => ItemKind::MaterializedView,
                    _ => ItemKind::View,
                };
                Explained::Object(self.item(name, &[kind])?.id)
            }
            Explainee::Statement(statement) => {
                let planned = self.plan(statement)?;
                parameters = planned.parameters;
                explained(planned.plan)?
            }
        };
        let stage = statement.stage.unwrap_or(ExplainStage::Physical);
        let column = match stage {
            ExplainStage::Raw => "Raw Plan",
            ExplainStage::Decorrelated => "Decorrelated Plan",
            ExplainStage::Optimized => "Optimized Plan",
            ExplainStage::Physical => "Physical Plan",
        };
        let plan = ExplainPlan { stage, explainee: Box::new(explainee) };
        let text = ColumnType::new(ScalarType::Text).nullable(false);
        Ok(rows(Plan::Explain(plan), parameters, RelationDesc::new([(column, text)])))
    }
}

fn explained(plan: Plan) -> Result<Explained, SqlError> {
    match plan {
        Plan::Select(select) => Ok(Explained::Select(select)),
        Plan::Subscribe(subscribe) => Ok(Explained::Relation(subscribe.query, subscribe.desc)),
        Plan::Insert(insert) => Ok(Explained::Relation(insert.query, insert.check.desc)),
        Plan::Update(update) => {
            let mut desc = update.check.desc;
            desc.columns.extend(desc.columns.clone());
            Ok(Explained::Relation(update.query, desc))
        }
        Plan::Delete(delete) => Ok(Explained::Relation(delete.query, RelationDesc::default())),
        Plan::CreateView(item) | Plan::CreateMaterializedView(item) => {
            let view = match item.definition {
                tidemill_catalog::Definition::View(view) => view,
                tidemill_catalog::Definition::MaterializedView(materialized) => materialized.view,
                _ => return Err(SqlError::internal("a view without query")),
            };
            match view.query {
                Some(query) => Ok(Explained::Relation((*query).clone(), view.desc)),
                None => Err(SqlError::internal("a view without plan")),
            }
        }
        _ => Err(SqlError::unsupported("EXPLAIN of this statement")),
    }
}
