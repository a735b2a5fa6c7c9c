//! EXPLAIN's last sections: which indexes are used and how, and what could be better.

use std::collections::{BTreeMap, BTreeSet};

use tidemill_catalog::{Catalog, Definition, Item};
use tidemill_expr::ScalarExpr;
use tidemill_optimize::advice::{Advice, advice};
use tidemill_optimize::{Access, Definitions, PeekPlan, PhysicalDataflow};
use tidemill_plan::explain::named_text;
use tidemill_plan::physical::{ArrangementKey, IndexImport, PhysicalPlan};
use tidemill_plan::relation::build::grow;
use tidemill_plan::{Id, RelationExpr};
use tidemill_repr::ObjectId;

use crate::read;

/// Indexes with how they are used.
type Uses = BTreeMap<ObjectId, BTreeSet<&'static str>>;

/// The section on the one index that a peek reads.
pub(super) fn of_peek(catalog: &Catalog, peek: &PeekPlan) -> String {
    let PeekPlan::Index { index, access, order, .. } = peek else { return String::new() };
    let how = match access {
        Access::Scan if order.is_some() => "first rows in order",
        Access::Point(_) => "lookup",
        Access::Range { .. } => "range scan",
        Access::Scan => "*** full scan ***",
    };
    section(catalog, &Uses::from([(*index, BTreeSet::from([how]))]))
}

/// The section on the indexes that a dataflow reads.
pub(super) fn of_dataflow(catalog: &Catalog, dataflow: &PhysicalDataflow) -> String {
    let plans = dataflow.objects.iter().map(|(_, plan)| plan);
    of_plans(catalog, plans, &dataflow.index_imports)
}

/// The section on the indexes that plans read, from among imports.
pub(super) fn of_plans<'p>(
    catalog: &Catalog,
    plans: impl Iterator<Item = &'p PhysicalPlan>,
    imports: &[IndexImport],
) -> String {
    let mut uses = Uses::new();
    for plan in plans {
        collect(plan, imports, false, &mut uses);
    }
    // What no plan reads is given on as it is.
    for import in imports {
        uses.entry(import.index).or_insert_with(|| BTreeSet::from(["index export"]));
    }
    section(catalog, &uses)
}

fn collect(plan: &PhysicalPlan, imports: &[IndexImport], joined: bool, uses: &mut Uses) {
    if let PhysicalPlan::Get { id: Id::Global(on), key: Some(key), literal, .. } = plan {
        let how = match literal {
            Some(_) => "lookup",
            None if joined => "differential join",
            None => "*** full scan ***",
        };
        if let Some(index) = imported(imports, *on, key) {
            uses.entry(index).or_default().insert(how);
        }
    }
    grow(|| match plan {
        PhysicalPlan::Join(join) => {
            collect(&join.source, imports, false, uses);
            for stage in &join.stages {
                collect(&stage.lookup, imports, true, uses);
            }
        }
        _ => {
            for child in plan.children() {
                collect(child, imports, false, uses);
            }
        }
    });
}

fn imported(imports: &[IndexImport], on: ObjectId, key: &ArrangementKey) -> Option<ObjectId> {
    imports.iter().find(|import| import.on == on && import.key == *key).map(|import| import.index)
}

fn section(catalog: &Catalog, uses: &Uses) -> String {
    let mut lines: Vec<String> = uses
        .iter()
        .map(|(index, how)| {
            let how: Vec<&str> = how.iter().copied().collect();
            format!("  - {} ({})\n", read::item_name(catalog, *index), how.join(", "))
        })
        .collect();
    lines.sort();
    if lines.is_empty() { String::new() } else { format!("\nUsed Indexes:\n{}", lines.concat()) }
}

/// The section on reads that an index would serve better.
pub(super) fn notices(
    catalog: &Catalog,
    relation: &RelationExpr,
    definitions: &dyn Definitions,
) -> String {
    let mut text = String::new();
    for advice in advice(relation, definitions) {
        let (message, hint) = match &advice {
            Advice::Missing { on, key } => {
                let Some(item) = indexable(catalog, *on) else { continue };
                let key = key_text(item, key);
                let name = &item.name;
                (
                    format!("{name} is read whole for the rows with given values of {key}"),
                    format!("CREATE INDEX ON {name} ({key}) would make it a lookup"),
                )
            }
            Advice::Wide { on, index, key } => {
                let Some(item) = indexable(catalog, *on) else { continue };
                let key = key_text(item, key);
                let index = index_text(catalog, item, *index);
                (
                    format!("index {index} has more in its key than {key}"),
                    format!("an index with the key ({key}) would serve lookups by it"),
                )
            }
            Advice::Computed { on, index, expr } => {
                let Some(item) = indexable(catalog, *on) else { continue };
                let expr = key_text(item, std::slice::from_ref(expr));
                let index = index_text(catalog, item, *index);
                (
                    format!("index {index} does not tell the rows with a given value of {expr}"),
                    "compare the key itself, with a value of its own type, or put the expression \
                     into an index"
                        .to_owned(),
                )
            }
        };
        text.push_str(&format!("  - Notice: {message}.\n    Hint: {hint}.\n"));
    }
    if text.is_empty() { text } else { format!("\nNotices:\n{text}") }
}

/// A relation that users can put indexes on.
fn indexable(catalog: &Catalog, id: ObjectId) -> Option<&Item> {
    catalog.item(id).filter(|item| !item.is_system()).map(|item| &**item)
}

fn key_text(item: &Item, key: &[ScalarExpr]) -> String {
    let name = |column: usize| match item.desc().and_then(|desc| desc.columns.get(column)) {
        Some(column) => column.name.clone(),
        None => format!("#{column}"),
    };
    key.iter().map(|expr| named_text(expr, &name)).collect::<Vec<_>>().join(", ")
}

fn index_text(catalog: &Catalog, on: &Item, index: ObjectId) -> String {
    let name = read::item_name(catalog, index);
    match catalog.item(index).map(|item| &item.definition) {
        Some(Definition::Index(index)) => {
            format!("{name} on {} ({})", on.name, key_text(on, &index.key))
        }
        _ => name,
    }
}
