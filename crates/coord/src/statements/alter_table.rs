//! ALTER TABLE with actions: the catalog as it will be, and the content in its new form, in one
//! commit.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use bumpalo::Bump;
use tidemill_catalog::{Catalog, CatalogChange, Commented, Item, Securable};
use tidemill_expr::EvalContext;
use tidemill_repr::{Datum, ErrorObject, ObjectId, Row, RowRef, SqlError, SqlState};
use tidemill_sql::plan::{AlterTablePlan, AlteredContent, NumberedColumn, RowCheck, renumber};

use super::Execution;
use super::ddl::{FirstRows, commit_with};
use super::dml::keys::{check_copied, key_of};
use super::dml::ordered;
use super::replan::plan_again;
use super::write::UnnamedParts;
use crate::copy_in::bulk::Bulk;
use crate::response::Response;
use crate::sequences::Counter;
use crate::session::{Session, Transaction};

/// Executes ALTER TABLE and ALTER VIEW with actions.
pub(crate) async fn alter_table(
    session: &mut Session,
    execution: &Execution<'_>,
    plan: &AlterTablePlan,
) -> Result<Response, SqlError> {
    let catalog = session.catalog(&execution.snapshot);
    // The plan's numbers are only for the objects to name each other.
    let mut ids = BTreeMap::new();
    for altered in &plan.items {
        if matches!(altered.id, ObjectId::User(number) if number >= plan.number) {
            ids.insert(altered.id, ObjectId::User(session.shared.new_number(&catalog)));
        }
    }
    let changes = changes(session, &catalog, plan, &ids)?;
    let mut rows = None;
    let mut keys = None;
    let mut counters = Vec::new();
    if let Some(content) = &plan.content {
        let mut check = content.check.clone();
        for key in &mut check.keys {
            key.index = ids.get(&key.index).copied().unwrap_or(key.index);
        }
        let into = content.into.map(|into| ids.get(&into).copied().unwrap_or(into));
        let (found, numbers) = read(session, execution, content, &check, into).await?;
        counters = numbers
            .into_iter()
            .map(|(id, counter)| (ids.get(&id).copied().unwrap_or(id), counter))
            .collect();
        if matches!(session.transaction, Transaction::Open(_)) && into.is_some() {
            let in_memory = std::iter::once(Ok(Arc::new(found.batch.clone())));
            let in_parts = found.parts.iter().flat_map(UnnamedParts::batches);
            let batches = in_memory.chain(in_parts);
            keys = check_copied(session, execution, found.table, &check, batches).await?;
        }
        rows = Some(found);
    }
    commit_with(session, execution, changes, rows, counters).await?;
    if let Transaction::Open(open) = &mut session.transaction {
        open.writes.add_keys(keys);
    }
    Ok(Response::Tag(plan.tag.to_owned()))
}

/// What goes, then what comes or is otherwise, planned again one after the other.
pub(super) fn changes(
    session: &Session,
    catalog: &Catalog,
    plan: &AlterTablePlan,
    ids: &BTreeMap<ObjectId, ObjectId>,
) -> Result<Vec<CatalogChange>, SqlError> {
    let mut changes: Vec<CatalogChange> =
        plan.drops.iter().copied().map(CatalogChange::DropItem).collect();
    let mut next = catalog.apply(&changes)?;
    for altered in &plan.items {
        let id = ids.get(&altered.id).copied().unwrap_or(altered.id);
        let model = altered.old.and_then(|old| catalog.item(old));
        let new = altered.item.clone();
        let mut item = Item {
            id,
            oid: match (model, id) {
                (Some(model), _) => model.oid,
                (None, ObjectId::User(number)) => Catalog::oid_for(number),
                (None, _) => return Err(SqlError::internal("a new object without number")),
            },
            owner: model.map_or_else(|| session.current_user(), |model| model.owner.clone()),
            name: new.name,
            create_sql: new.create_sql,
            depends_on: new.depends_on,
            definition: new.definition,
        };
        renumber(&mut item.depends_on, &mut item.definition, ids);
        next = next.apply(&[CatalogChange::PutItem(Box::new(item.clone()))])?;
        next = plan_again(next, &item)?;
        if let Some(planned) = next.item(id) {
            item = Item::clone(planned);
        }
        changes.push(CatalogChange::PutItem(Box::new(item)));
        if let Some(old) = altered.old.filter(|old| *old != id) {
            let goes_along = what_goes_along(catalog, &next, old, id);
            next = next.apply(&goes_along)?;
            changes.extend(goes_along);
        }
    }
    Ok(changes)
}

/// What an object that gets another identity takes along: privileges and comments.
fn what_goes_along(
    before: &Catalog,
    after: &Catalog,
    old: ObjectId,
    new: ObjectId,
) -> Vec<CatalogChange> {
    let mut changes = Vec::new();
    let (from, to) = (Securable::Item(old), Securable::Item(new));
    if before.has_own_acl(&from) || after.has_own_acl(&to) {
        changes.push(CatalogChange::SetPrivileges { on: to, acl: before.acl(&from) });
    }
    let desc = after.item(new).and_then(|item| item.desc());
    let has_constraint = |name: &String| {
        let table = after.item(new).and_then(|item| item.table());
        table.is_some_and(|table| table.constraints.iter().any(|one| one.name == *name))
    };
    for (on, text) in before.comments() {
        let on = match on {
            Commented::Item(id) if *id == old => Commented::Item(new),
            Commented::Constraint(id, name) if *id == old && has_constraint(name) => {
                Commented::Constraint(new, name.clone())
            }
            Commented::Column(id, name)
                if *id == old && desc.is_some_and(|desc| desc.position(name).is_some()) =>
            {
                Commented::Column(new, name.clone())
            }
            _ => continue,
        };
        changes.push(CatalogChange::Comment { on, text: Some(text.clone()) });
    }
    changes
}

/// Reads the content in its new form, and checks it. Without a table to go to nothing is kept.
async fn read(
    session: &mut Session,
    execution: &Execution<'_>,
    content: &AlteredContent,
    check: &RowCheck,
    into: Option<ObjectId>,
) -> Result<(FirstRows, Vec<(ObjectId, Counter)>), SqlError> {
    let (rows, read) = ordered::first_rows(session, execution, &content.query).await?;
    let mut numbers: Vec<(usize, &NumberedColumn, Counter)> = content
        .numbered
        .iter()
        .map(|numbered| (numbered.column, numbered, Counter::new(&numbered.definition, None)))
        .collect();
    let table = into.unwrap_or(content.table);
    let mut bulk = Bulk::new(Arc::clone(&session.shared), table, check.desc.types());
    let mut seen: Vec<HashSet<Row>> = vec![HashSet::new(); check.keys.len()];
    let singly = rows.into_iter().flat_map(|(row, diff)| {
        // Rows that get numbers are different ones.
        let count = if content.numbered.is_empty() { 1 } else { diff };
        let each = if content.numbered.is_empty() { diff } else { 1 };
        (0..count).map(move |_| (row.clone(), each))
    });
    for (row, diff) in singly {
        let row = if numbers.is_empty() { row } else { with_numbers(&row, &mut numbers)? };
        check_row(check, row.as_ref())?;
        if into.is_none() {
            continue;
        }
        for (key, seen) in check.keys.iter().zip(&mut seen) {
            let Some(value) = key_of(key, row.as_ref())? else { continue };
            if diff > 1 || !seen.insert(value) {
                return Err(duplicated(check, &key.name, check.duplicate(key, row.as_ref())));
            }
        }
        for _ in 0..diff {
            bulk.push(row.as_ref());
        }
        bulk.spill(false).await?;
    }
    let (batch, parts) = bulk.finish().await?;
    let counters = numbers.into_iter().map(|(_, numbered, counter)| (numbered.sequence, counter));
    Ok((FirstRows { table, batch, parts, read }, counters.collect()))
}

/// A row with the next numbers in their columns.
fn with_numbers(
    row: &Row,
    numbers: &mut [(usize, &NumberedColumn, Counter)],
) -> Result<Row, SqlError> {
    let mut datums = row.unpack();
    for (column, numbered, counter) in numbers {
        let next = counter.next(&numbered.definition, "of the new column")?;
        if let Some(datum) = datums.get_mut(*column) {
            *datum = Datum::Int(next);
        }
    }
    Ok(Row::pack(datums))
}

/// The error for rows that have the same key, where the key is new.
fn duplicated(check: &RowCheck, constraint: &str, error: SqlError) -> SqlError {
    let about = ErrorObject { constraint: Some(constraint.to_owned()), ..check.about() };
    let mut new = SqlError::new(
        SqlState::UNIQUE_VIOLATION,
        format!("could not create unique index \"{constraint}\""),
    )
    .about(about);
    new.detail = error.detail.map(|detail| detail.replace(") already exists.", ") is duplicated."));
    new
}

/// Checks a row that was there before what it must satisfy.
fn check_row(check: &RowCheck, row: RowRef<'_>) -> Result<(), SqlError> {
    let table = &check.table;
    let datums: Vec<Datum<'_>> = row.iter().collect();
    for (column, datum) in check.desc.columns.iter().zip(&datums) {
        if !column.typ.nullable && datum.is_null() {
            let name = &column.name;
            let message = format!("column \"{name}\" of relation \"{table}\" contains null values");
            let about = ErrorObject { column: Some(name.clone()), ..check.about() };
            return Err(SqlError::new(SqlState::NOT_NULL_VIOLATION, message).about(about));
        }
    }
    let arena = Bump::new();
    for (column, domain) in &check.domains {
        if let Some(value) = datums.get(*column) {
            domain.check(*value)?;
        }
    }
    for (name, condition) in &check.checks {
        let value = condition.eval(&datums, EvalContext { arena: &arena })?;
        if matches!(value, Datum::Bool(false)) {
            let message = format!(
                "check constraint \"{name}\" of relation \"{table}\" is violated by some row"
            );
            let about = ErrorObject { constraint: Some(name.clone()), ..check.about() };
            return Err(SqlError::new(SqlState::CHECK_VIOLATION, message).about(about));
        }
    }
    Ok(())
}
