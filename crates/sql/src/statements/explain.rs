//! EXPLAIN.

use tidemill_catalog::ItemKind;
use tidemill_plan::explain::Annotations;
use tidemill_repr::{ColumnType, RelationDesc, ScalarType, SqlError, SqlState};

use super::options::Options;
use super::{Planning, rows};
use crate::ast::{Explain, ExplainStage, Explainee, ObjectKind};
use crate::plan::{ExplainPlan, Explained, Notice, Plan, Planned};

/// Options of other systems that ask for what a plan always, or never, shows here.
const WITHOUT_EFFECT: [&str; 8] = [
    "CARDINALITY",
    "COLUMN NAMES",
    "HUMANIZED EXPRESSIONS",
    "JOIN IMPLEMENTATIONS",
    "LINEAR CHAINS",
    "NON NEGATIVE",
    "SUBTREE SIZE",
    "EQUIVALENCES",
];

impl Planning<'_> {
    pub(super) fn explain(&self, statement: &Explain) -> Result<Planned, SqlError> {
        let mut options = Options::new("EXPLAIN", &statement.options)?;
        let mut as_json = statement.as_json;
        if let Some(format) = options.text("FORMAT")? {
            as_json = match format.to_lowercase().as_str() {
                "json" => true,
                "text" => false,
                _ => {
                    let what = format_args!("EXPLAIN with FORMAT {format}");
                    return Err(SqlError::unsupported(what));
                }
            };
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
        let mut on = |name| options.boolean(name).map(|value| value == Some(true));
        let annotations =
            Annotations { arity: on("ARITY")?, types: on("TYPES")?, keys: on("KEYS")? };
        let mut notices = Vec::new();
        for name in WITHOUT_EFFECT {
            if options.boolean(name)? == Some(true) {
                let message = format!("option {name} of EXPLAIN has no effect");
                notices.push(Notice::new(SqlState("00000"), message));
            }
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
        let plan = ExplainPlan { stage, annotations, as_json, explainee: Box::new(explainee) };
        let text = ColumnType::new(ScalarType::Text).nullable(false);
        let desc = RelationDesc::new([(column, text)]);
        let mut planned = rows(Plan::Explain(plan), parameters, desc);
        planned.notices = notices;
        Ok(planned)
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
        Plan::CreateIndex(item) => Ok(Explained::NewIndex(item)),
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
