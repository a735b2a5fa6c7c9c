//! EXPLAIN.

use tidemill_catalog::{Catalog, Definition};
use tidemill_optimize::{Access, PeekPlan};
use tidemill_plan::explain::{explain_dataflow, explain_physical, explain_query, explain_relation};
use tidemill_plan::{Finishing, QueryExpr};
use tidemill_repr::{ColumnType, Datum, ObjectId, RelationDesc, Row, ScalarType, SqlError, Tick};
use tidemill_sql::ast::ExplainStage;
use tidemill_sql::plan::{ExplainPlan, Explained};

use super::Execution;
use super::select::bound;
use crate::read::{self, Way};
use crate::response::{Response, RowsResponse};
use crate::session::Session;

/// Executes EXPLAIN: one row with the whole text.
pub(crate) fn explain(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &ExplainPlan,
) -> Result<Response, SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    let text = match &*plan.explainee {
        Explained::Select(select) => {
            let query = bound(&select.query, execution.parameters);
            let mut text = query_text(session, &catalog, plan.stage, &query)?;
            text.push_str(&finishing_text(&select.finishing, select.desc.arity()));
            text
        }
        Explained::Relation(query, _) => query_text(session, &catalog, plan.stage, query)?,
        Explained::Object(id) => object_text(session, &catalog, plan.stage, *id)?,
    };
    let column = match plan.stage {
        ExplainStage::Raw => "Raw Plan",
        ExplainStage::Decorrelated => "Decorrelated Plan",
        ExplainStage::Optimized => "Optimized Plan",
        ExplainStage::Physical => "Physical Plan",
    };
    let desc = RelationDesc::new([(column, ColumnType::new(ScalarType::Text).nullable(false))]);
    let row = Row::pack([Datum::Text(text.trim_end())]);
    Ok(Response::Rows(RowsResponse::ready(desc, "EXPLAIN", vec![row])))
}

fn query_text(
    session: &Session,
    catalog: &Catalog,
    stage: ExplainStage,
    query: &QueryExpr,
) -> Result<String, SqlError> {
    let namer = |id: ObjectId| read::item_name(catalog, id);
    let shared = &session.shared;
    let definitions = read::CatalogDefinitions::new(catalog, shared);
    Ok(match stage {
        ExplainStage::Raw => explain_query(query, &namer),
        ExplainStage::Decorrelated => {
            let relation = tidemill_optimize::decorrelate::decorrelate(query, &definitions)?;
            explain_relation(&relation, &namer)
        }
        ExplainStage::Optimized => {
            let relation = tidemill_optimize::optimize(query, &definitions)?;
            let plan = read::plan_read(shared, catalog, query, Tick::MAX, None)?;
            format!("{}{}", way_text(catalog, &plan.way), explain_relation(&relation, &namer))
        }
        ExplainStage::Physical => {
            let plan = read::plan_read(shared, catalog, query, Tick::MAX, None)?;
            let head = way_text(catalog, &plan.way);
            match plan.way {
                Way::Peek(_) => {
                    let relation = tidemill_optimize::optimize(query, &definitions)?;
                    format!("{head}{}", explain_relation(&relation, &namer))
                }
                Way::Dataflow(relation) | Way::AtTick(relation) => {
                    let id = ObjectId::Transient(0);
                    let dataflow =
                        read::relation_dataflow(shared, catalog, relation, id, Tick::MAX)?;
                    let plans: Vec<String> = dataflow
                        .objects
                        .iter()
                        .map(|(_, plan)| explain_physical(plan, &namer))
                        .collect();
                    format!("{head}{}", plans.join("\n"))
                }
            }
        }
    })
}

/// Says how the answer is come by.
fn way_text(catalog: &Catalog, way: &Way) -> String {
    match way {
        Way::Peek(PeekPlan::Constant { .. }) => "Answered by: constant\n".to_owned(),
        Way::Peek(PeekPlan::Index { index, access, .. }) => {
            let how = match access {
                Access::Point(keys) if keys.len() == 1 => "point lookup".to_owned(),
                Access::Point(keys) => format!("{} point lookups", keys.len()),
                Access::Range { .. } => "range scan".to_owned(),
                Access::Scan => "scan".to_owned(),
            };
            let kind =
                catalog.item(*index).map_or("index".to_owned(), |item| item.kind().to_string());
            let name = read::item_name(catalog, *index);
            format!("Answered by: {how} of {kind} {name}\n")
        }
        Way::Dataflow(_) | Way::AtTick(_) => "Answered by: a dataflow\n".to_owned(),
    }
}

fn finishing_text(finishing: &Finishing, arity: usize) -> String {
    let mut parts = Vec::new();
    if !finishing.order_by.is_empty() {
        let keys: Vec<String> = finishing
            .order_by
            .iter()
            .map(|key| {
                let direction = if key.direction.descending { " desc" } else { "" };
                let nulls = if key.direction.nulls_first { " nulls first" } else { "" };
                format!("#{}{direction}{nulls}", key.column)
            })
            .collect();
        parts.push(format!("order by {}", keys.join(", ")));
    }
    parts.extend(finishing.limit.map(|limit| format!("limit {limit}")));
    if finishing.offset > 0 {
        parts.push(format!("offset {}", finishing.offset));
    }
    if finishing.project.len() != arity
        || finishing.project.iter().enumerate().any(|(position, column)| position != *column)
    {
        let columns: Vec<String> =
            finishing.project.iter().map(|column| format!("#{column}")).collect();
        parts.push(format!("output {}", columns.join(", ")));
    }
    if parts.is_empty() { String::new() } else { format!("\nFinish: {}\n", parts.join(", ")) }
}

fn object_text(
    session: &Session,
    catalog: &Catalog,
    stage: ExplainStage,
    id: ObjectId,
) -> Result<String, SqlError> {
    let item = super::ddl::item_of(catalog, id)?;
    if stage == ExplainStage::Physical
        && matches!(item.definition, Definition::Index(_) | Definition::MaterializedView(_))
    {
        let mut dataflow = read::maintained_dataflow(&session.shared, catalog, id)?;
        dataflow.as_of = Tick::MIN;
        let namer = |id: ObjectId| read::item_name(catalog, id);
        return Ok(explain_dataflow(&dataflow, &namer));
    }
    let viewed = match &item.definition {
        Definition::Index(index) => super::ddl::item_of(catalog, index.on)?,
        _ => item,
    };
    match viewed.view().and_then(|view| view.query.clone()) {
        Some(query) => query_text(session, catalog, stage, &query),
        None => Ok(format!("{} {}\n", viewed.kind(), viewed.name)),
    }
}
