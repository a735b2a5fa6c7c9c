//! EXPLAIN's texts of plans: one operator a line, inputs indented below it.
//!
//! Columns are `#n`, counted from 0. A [`Namer`] gives objects and indexes their names.

mod expressions;
mod physical;
mod query;
mod relation;

use tidemill_repr::ObjectId;

pub use expressions::{
    aggregate_text, expression_text, named_text, query_expression_text, window_text,
};

use crate::physical::{DataflowDescription, PhysicalPlan};
use crate::{Id, QueryExpr, RelationExpr};

/// What is said of each operator of a relation beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    /// How many columns it has.
    pub arity: bool,
    /// The types of its columns; `?` where there may be NULL.
    pub types: bool,
    /// Sets of columns that are unique.
    pub keys: bool,
}

impl Annotations {
    /// What is said of a relation, behind its line.
    fn of(self, relation: &RelationExpr) -> String {
        if self == Annotations::default() {
            return String::new();
        }
        let typ = relation.typ();
        let mut parts = Vec::new();
        if self.arity {
            parts.push(format!("arity: {}", typ.arity()));
        }
        if self.types {
            let of = |column: &tidemill_repr::ColumnType| {
                let mark = if column.nullable { "?" } else { "" };
                format!("{}{mark}", column.sql_name())
            };
            let types: Vec<String> = typ.columns.iter().map(of).collect();
            parts.push(format!("types: \"({})\"", types.join(", ")));
        }
        if self.keys {
            let keys: Vec<String> = typ.keys.iter().map(|key| format!("{key:?}")).collect();
            parts.push(format!("keys: \"({})\"", keys.join(", ")));
        }
        format!(" // {{ {} }}", parts.join(", "))
    }
}

/// Gives objects their names.
pub type Namer<'n> = &'n dyn Fn(ObjectId) -> String;

/// Ids as names, for those who have no catalog.
pub fn by_id(id: ObjectId) -> String {
    id.to_string()
}

/// The text of a query.
pub fn explain_query(query: &QueryExpr, namer: Namer<'_>) -> String {
    let mut text = Text::new(namer);
    query::write(query, &mut text);
    text.lines
}

/// The text of a relation.
pub fn explain_relation(relation: &RelationExpr, namer: Namer<'_>) -> String {
    let mut text = Text::new(namer);
    relation::write(relation, &mut text);
    text.lines
}

/// The same, with what is known of each operator.
pub fn explain_annotated(
    relation: &RelationExpr,
    namer: Namer<'_>,
    annotations: Annotations,
) -> String {
    let mut text = Text { annotations, ..Text::new(namer) };
    relation::write(relation, &mut text);
    text.lines
}

/// The text of a physical plan.
pub fn explain_physical(plan: &PhysicalPlan, namer: Namer<'_>) -> String {
    let mut text = Text::new(namer);
    physical::write(plan, &mut text);
    text.lines
}

/// The text of a dataflow's plans.
pub fn explain_dataflow(dataflow: &DataflowDescription, namer: Namer<'_>) -> String {
    let mut text = Text::new(namer);
    for (id, plan) in &dataflow.objects {
        text.line(format!("{}:", namer(*id)));
        text.deeper(|text| physical::write(plan, text));
    }
    text.lines
}

/// Lines that are being written.
struct Text<'n> {
    namer: Namer<'n>,
    annotations: Annotations,
    depth: usize,
    lines: String,
}

impl<'n> Text<'n> {
    fn new(namer: Namer<'n>) -> Text<'n> {
        Text { namer, annotations: Annotations::default(), depth: 0, lines: String::new() }
    }

    fn line(&mut self, line: String) {
        self.lines.push_str(&"  ".repeat(self.depth));
        self.lines.push_str(&line);
        self.lines.push('\n');
    }

    fn deeper(&mut self, write: impl FnOnce(&mut Self)) {
        self.depth += 1;
        crate::relation::build::grow(|| write(self));
        self.depth -= 1;
    }

    fn name(&self, id: Id) -> String {
        match id {
            Id::Global(id) => (self.namer)(id),
            Id::Local(id) => id.to_string(),
        }
    }
}

/// The head of a recursion.
fn recursion(limit: &crate::RecursionLimit, text: &mut Text<'_>) {
    let kind = if limit.returns { "return" } else { "error" };
    text.line(match *limit == crate::RecursionLimit::DEFAULT {
        true => "With Mutually Recursive".to_owned(),
        false => format!("With Mutually Recursive [{kind} at recursion limit {}]", limit.rounds),
    });
}

fn columns(columns: &[usize]) -> String {
    let columns: Vec<String> = columns.iter().map(|column| format!("#{column}")).collect();
    columns.join(", ")
}

/// The line of a window operator.
fn window(
    partition_by: &[usize],
    order_by: &[crate::ColumnOrder],
    calls: &[tidemill_expr::WindowCall],
) -> String {
    let calls: Vec<String> = calls.iter().map(window_text).collect();
    let (partition, order, calls) = (columns(partition_by), order(order_by), calls.join(", "));
    format!("Window partition_by=[{partition}] order_by=[{order}] calls=[{calls}]")
}

fn order(order_by: &[crate::ColumnOrder]) -> String {
    let keys: Vec<String> = order_by
        .iter()
        .map(|key| {
            let direction = if key.direction.descending { "desc" } else { "asc" };
            let nulls = if key.direction.nulls_first { "nulls_first" } else { "nulls_last" };
            format!("#{} {direction} {nulls}", key.column)
        })
        .collect();
    keys.join(", ")
}
