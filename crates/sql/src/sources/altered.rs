//! A table of a source with other columns than one that is there: made beside it, to succeed it.

use tidemill_catalog::name::quote_identifier;
use tidemill_catalog::{
    Catalog, Definition, Item, QualifiedName, SourceTable, Succession, Table, UpstreamTable,
};
use tidemill_repr::{Column, SqlError, SqlState};

use super::{
    ColumnChoice, Upstream, carried_type, check_identity, create_sql, resynced, shown,
    unique_columns,
};
use crate::plan::{AlterFollowedPlan, NewItem};

/// The table that is to succeed `item`. Its name is one that nobody else gives, of the same schema.
///
/// # Errors
/// The upstream's table lacks a column, or has it with a type that cannot be carried; the table
/// here has it already.
pub fn altered(
    catalog: &Catalog,
    item: &Item,
    plan: &AlterFollowedPlan,
    upstream: &Upstream<'_>,
) -> Result<NewItem, SqlError> {
    let Some(Table { source: Some(source), .. }) = item.table() else {
        return Err(SqlError::internal("a table that follows no source"));
    };
    let table = reduced(item, plan)?;
    let now = resynced(&item.name, &table, upstream)?;
    let Some(kept) = now.source.clone() else {
        return Err(SqlError::internal("a table that follows no source"));
    };
    let found = kept.upstream.clone();
    let text = unique_columns(&found, &plan.text, "TEXT COLUMNS")?;
    let mut desc = now.desc.clone();
    let mut columns = kept.columns.clone();
    let mut origins: Vec<Option<usize>> = plan.kept.iter().copied().map(Some).collect();
    let mut depends_on = item.depends_on.clone();
    for name in &plan.add {
        let column = found.columns.iter().find(|column| column.name == *name);
        let column = column.ok_or_else(|| not_there(&found, upstream, name))?;
        if let Some(here) = columns.iter().position(|attnum| *attnum == column.attnum) {
            let known = desc.columns.get(here).map_or("", |column| &column.name);
            return Err(SqlError::new(
                SqlState::DUPLICATE_COLUMN,
                format!("column \"{name}\" of {} is here already, as \"{known}\"", shown(&found)),
            ));
        }
        let as_text = text.contains(&column.attnum);
        let typ = carried_type(catalog, &item.name, (&found, column), as_text, &mut depends_on)?;
        desc.columns.push(Column { name: name.clone(), typ });
        columns.push(column.attnum);
        origins.push(None);
    }
    check_identity(&found, &columns)?;
    if desc.keys.is_empty() && !found.primary_key.is_empty() {
        let position = |attnum| columns.iter().position(|column| column == attnum);
        let key: Option<Vec<usize>> = found.primary_key.iter().map(position).collect();
        desc.keys.extend(key);
    }
    let text_columns = kept.text_columns.iter().copied().chain(text).collect();
    let succeeds = Some(Succession { table: item.id, columns: origins });
    let source =
        SourceTable { columns, text_columns, resyncs: 0, succeeds, ..source_of(&kept, source) };
    let name = QualifiedName { item: format!("pg_temp_{}", item.oid.0), ..item.name.clone() };
    let create_sql = create_table_sql(catalog, &name, &source)?;
    let retain_history = table.retain_history;
    let table = Table { source: Some(source), retain_history, ..Table::new(desc) };
    Ok(NewItem {
        name,
        create_sql,
        depends_on,
        definition: Definition::Table(table),
        replaces: None,
    })
}

fn source_of(now: &SourceTable, before: &SourceTable) -> SourceTable {
    SourceTable { subsource: before.subsource, ..now.clone() }
}

/// The table with the columns that stay, and no others.
fn reduced(item: &Item, plan: &AlterFollowedPlan) -> Result<Table, SqlError> {
    let Some(Table { source: Some(source), desc, .. }) = item.table() else {
        return Err(SqlError::internal("a table that follows no source"));
    };
    let mut reduced = desc.clone();
    let here = |column: &usize| plan.kept.iter().position(|kept| kept == column);
    reduced.columns = plan.kept.iter().filter_map(|at| desc.columns.get(*at).cloned()).collect();
    reduced.keys =
        desc.keys.iter().filter_map(|key| key.iter().map(here).collect::<Option<_>>()).collect();
    let columns = plan.kept.iter().filter_map(|at| source.columns.get(*at).copied()).collect();
    let source = SourceTable { columns, ..source.clone() };
    let table = item.table().ok_or_else(|| SqlError::internal("a table"))?;
    Ok(Table { source: Some(source), desc: reduced, ..table.clone() })
}

fn not_there(table: &UpstreamTable, upstream: &Upstream<'_>, name: &str) -> SqlError {
    let message = format!("column \"{name}\" of {} does not exist upstream", shown(table));
    SqlError::new(SqlState::UNDEFINED_COLUMN, message).with_hint(format!(
        "Add it upstream first. If it is there, publication {} does not publish it.",
        quote_identifier(upstream.publication)
    ))
}

/// The statement that makes such a table.
///
/// # Errors
/// The source is gone.
pub fn create_table_sql(
    catalog: &Catalog,
    name: &QualifiedName,
    table: &SourceTable,
) -> Result<String, SqlError> {
    let source = catalog.item(table.source);
    let source = source
        .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, "the source was dropped"))?;
    let carried = |attnum: &i16| table.columns.contains(attnum);
    let exclude: Vec<i16> = table
        .upstream
        .columns
        .iter()
        .map(|column| column.attnum)
        .filter(|attnum| !carried(attnum))
        .collect();
    let choice = ColumnChoice { text: &table.text_columns, exclude: &exclude };
    Ok(create_sql(name, &source.name, &table.upstream, &choice))
}
