//! EXPLAIN.

mod indexes;
mod json;

use tidemill_catalog::{Catalog, CatalogChange, Definition};
use tidemill_optimize::{Access, KeyOrder, PeekPlan};
use tidemill_plan::explain::{
    explain_annotated, explain_dataflow, explain_physical, explain_query, expression_text,
};
use tidemill_plan::physical::Export;
use tidemill_plan::{Finishing, QueryExpr};
use tidemill_repr::{ColumnType, Datum, ObjectId, RelationDesc, Row, ScalarType, SqlError, Tick};
use tidemill_sql::ast::ExplainStage;
use tidemill_sql::plan::{ExplainPlan, Explained, NewItem};

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
    let explaining = Explaining { session, catalog: &catalog, plan };
    let text = match &*plan.explainee {
        Explained::Select(select) => {
            let query = bound(&select.query, execution.parameters);
            explaining.query(&query, &select.finishing, select.desc.arity())?
        }
        Explained::Relation(query, _) => explaining.query(query, &Finishing::default(), 0)?,
        Explained::Object(id) => explaining.object(*id)?,
        Explained::NewIndex(item) => explaining.new_index(item)?,
    };
    let column = match plan.stage {
        ExplainStage::Raw => "Raw Plan",
        ExplainStage::Decorrelated => "Decorrelated Plan",
        ExplainStage::Optimized => "Optimized Plan",
        ExplainStage::Physical => "Physical Plan",
    };
    let text = if plan.as_json { json::json(&text) } else { text };
    let desc = RelationDesc::new([(column, ColumnType::new(ScalarType::Text).nullable(false))]);
    let row = Row::pack([Datum::Text(text.trim_end())]);
    Ok(Response::Rows(RowsResponse::ready(desc, "EXPLAIN", vec![row])))
}

/// One EXPLAIN.
struct Explaining<'e> {
    session: &'e Session,
    catalog: &'e Catalog,
    plan: &'e ExplainPlan,
}

impl Explaining<'_> {
    /// The text of a query; how its rows, of so many columns, are finished comes behind the plan.
    fn query(
        &self,
        query: &QueryExpr,
        finishing: &Finishing,
        arity: usize,
    ) -> Result<String, SqlError> {
        let wanted = (query, finishing);
        let finishing = &finishing_text(finishing, arity);
        let catalog = self.catalog;
        let namer = |id: ObjectId| read::item_name(catalog, id);
        let shared = &self.session.shared;
        let cluster = self.session.cluster();
        let definitions = read::CatalogDefinitions::new(catalog, shared, cluster);
        let annotations = self.plan.annotations;
        if self.plan.stage == ExplainStage::Raw {
            return Ok(explain_query(query, &namer) + finishing);
        }
        if self.plan.stage == ExplainStage::Decorrelated {
            let relation = tidemill_optimize::decorrelate::decorrelate(query, &definitions)?;
            return Ok(explain_annotated(&relation, &namer, annotations) + finishing);
        }
        let relation = tidemill_optimize::optimize(query, &definitions)?;
        let notices = indexes::notices(catalog, &relation, &definitions);
        let way = read::plan_read(shared, catalog, wanted, (Tick::MAX, cluster), None)?.way;
        let head = way_text(catalog, &way);
        let (plan, used) = match way {
            Way::Peek(peek) => {
                let text = explain_annotated(&relation, &namer, annotations);
                (text, indexes::of_peek(catalog, &peek))
            }
            Way::Dataflow(planned) | Way::AtTick(planned) => {
                let id = ObjectId::Transient(0);
                let dataflow =
                    read::relation_dataflow(shared, catalog, planned, id, (Tick::MAX, cluster))?;
                let used = indexes::of_dataflow(catalog, &dataflow);
                let text = match self.plan.stage {
                    ExplainStage::Optimized => explain_annotated(&relation, &namer, annotations),
                    _ => {
                        let plans = dataflow.objects.iter();
                        plans.map(|(_, plan)| explain_physical(plan, &namer)).collect()
                    }
                };
                (text, used)
            }
        };
        Ok(format!("{head}{plan}{finishing}{used}{notices}"))
    }

    /// The text of what is in the catalog.
    fn object(&self, id: ObjectId) -> Result<String, SqlError> {
        let item = super::ddl::item_of(self.catalog, id)?;
        let maintained =
            matches!(item.definition, Definition::Index(_) | Definition::MaterializedView(_));
        if self.plan.stage == ExplainStage::Physical && maintained {
            return self.maintained(id);
        }
        let viewed = match &item.definition {
            Definition::Index(index) => super::ddl::item_of(self.catalog, index.on)?,
            _ => item,
        };
        match viewed.view().and_then(|view| view.query.clone()) {
            Some(query) => self.query(&query, &Finishing::default(), 0),
            None => Ok(format!("{} {}\n", viewed.kind(), viewed.name)),
        }
    }

    /// The text of an index as if it were made now.
    fn new_index(&self, item: &NewItem) -> Result<String, SqlError> {
        let item = super::ddl::new_item(self.session, self.catalog, item);
        let id = item.id;
        let after = self.catalog.apply(&[CatalogChange::PutItem(Box::new(item))])?;
        let with = Explaining { catalog: &after, ..*self };
        with.object(id)
    }

    fn maintained(&self, id: ObjectId) -> Result<String, SqlError> {
        let catalog = self.catalog;
        let dataflow = read::maintained_dataflow(&self.session.shared, catalog, id)?;
        let namer = |id: ObjectId| read::item_name(catalog, id);
        let plans = dataflow.objects.iter().map(|(_, plan)| plan);
        let used = indexes::of_plans(catalog, plans, &dataflow.index_imports);
        let mut text = explain_dataflow(&dataflow, &namer);
        for export in &dataflow.exports {
            if let Export::Index { id, on, key, .. } = export {
                let key = key.0.iter().map(expression_text).collect::<Vec<_>>().join(", ");
                text.push_str(&format!(
                    "{}:\n  ArrangeBy ({key})\n    Get {}\n",
                    namer(*id),
                    namer(*on)
                ));
            }
        }
        Ok(text + &used)
    }
}

/// Says how the answer is come by.
fn way_text(catalog: &Catalog, way: &Way) -> String {
    match way {
        Way::Peek(PeekPlan::Constant { .. }) => "Answered by: constant\n".to_owned(),
        Way::Peek(PeekPlan::Index { index, access, order, .. }) => {
            let how = match access {
                Access::Point(keys) if keys.len() == 1 => "point lookup".to_owned(),
                Access::Point(keys) => format!("{} point lookups", keys.len()),
                Access::Range { .. } => "range scan".to_owned(),
                Access::Scan => "scan".to_owned(),
            };
            let order = match order {
                None => "",
                Some(KeyOrder { descending: false, .. }) => " in order",
                Some(KeyOrder { descending: true, .. }) => " in descending order",
            };
            let kind =
                catalog.item(*index).map_or("index".to_owned(), |item| item.kind().to_string());
            let name = read::item_name(catalog, *index);
            format!("Answered by: {how} of {kind} {name}{order}\n")
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
