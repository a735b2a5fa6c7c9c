//! From what is upstream to the tables that a source makes.
//!
//! `coord` asks `ingest` to describe the upstream, and hands the description here with what the
//! statement asked for ([`CreateSourcePlan`], [`CreateTableFromSourcePlan`]). All that can be
//! found wrong without asking the upstream again is found here.

mod altered;
mod enums;

use std::collections::BTreeMap;

use tidemill_catalog::name::quote_identifier;
use tidemill_catalog::{
    Catalog, Definition, QualifiedName, SourceTable, Table, UpstreamColumn, UpstreamTable,
};
use tidemill_repr::{
    Column, ColumnType, ObjectId, Oid, RelationDesc, ScalarType, SqlError, SqlState,
};

use crate::plan::{
    AddSubsourcesPlan, CreateSourcePlan, CreateTableFromSourcePlan, NewItem, TablesWanted,
};

pub use altered::{altered, create_table_sql};
pub use enums::{missing_label, new_types, with_types};

/// What is upstream, as far as tables are made from it.
#[derive(Clone, Debug)]
pub struct Upstream<'a> {
    /// The publication.
    pub publication: &'a str,
    /// Its tables.
    pub tables: &'a [UpstreamTable],
}

/// The tables made together with a source (`FOR ..`), in the order they are upstream or were
/// asked for.
///
/// # Errors
/// The publication is empty, a table is not in it or its name is ambiguous, two tables would get
/// one name or a name is taken, a column cannot be carried or is not there.
pub fn subsources(
    catalog: &Catalog,
    plan: &CreateSourcePlan,
    source: ObjectId,
    upstream: &Upstream<'_>,
) -> Result<Vec<NewItem>, SqlError> {
    let wanted = wanted_tables(&plan.tables, &plan.name, upstream)?;
    check_names(catalog, Some(&plan.name), &wanted)?;
    let columns = (&plan.text_columns[..], &plan.exclude_columns[..]);
    new_tables(catalog, wanted, (source, &plan.name), columns)
}

/// The tables that `ALTER SOURCE .. ADD SUBSOURCE` or `CREATE VIEWS FROM SOURCE` makes, and the
/// names of those that were there already (`IF NOT EXISTS`).
///
/// # Errors
/// As [`subsources`].
pub fn added_subsources(
    catalog: &Catalog,
    plan: &AddSubsourcesPlan,
    upstream: &Upstream<'_>,
) -> Result<(Vec<NewItem>, Vec<QualifiedName>), SqlError> {
    let source = catalog
        .item(plan.source)
        .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, "the source was dropped"))?;
    let mut wanted = wanted_tables(&plan.tables, &plan.beside, upstream)?;
    let mut passed_over = Vec::new();
    if plan.if_not_exists {
        wanted.retain(|(_, name)| {
            let exists = catalog.item_by_name(name).is_some();
            if exists {
                passed_over.push(name.clone());
            }
            !exists
        });
    }
    check_names(catalog, None, &wanted)?;
    let columns = (&plan.text_columns[..], &plan.exclude_columns[..]);
    let tables = new_tables(catalog, wanted, (plan.source, &source.name), columns)?;
    Ok((tables, passed_over))
}

fn new_tables(
    catalog: &Catalog,
    wanted: Vec<(&UpstreamTable, QualifiedName)>,
    source: (ObjectId, &QualifiedName),
    (text, exclude): (&[Vec<String>], &[Vec<String>]),
) -> Result<Vec<NewItem>, SqlError> {
    let tables: Vec<&UpstreamTable> = wanted.iter().map(|(table, _)| *table).collect();
    let text = columns_by_table(text, "TEXT COLUMNS", &tables)?;
    let exclude = columns_by_table(exclude, "EXCLUDE COLUMNS", &tables)?;
    wanted
        .into_iter()
        .map(|(table, name)| {
            let empty = Vec::new();
            let columns = ColumnChoice {
                text: text.get(&table.oid).unwrap_or(&empty),
                exclude: exclude.get(&table.oid).unwrap_or(&empty),
            };
            new_table(catalog, name, source, table, &columns, true)
        })
        .collect()
}

/// The table of a `CREATE TABLE .. FROM SOURCE`.
///
/// # Errors
/// As [`subsources`].
pub fn table_from_source(
    catalog: &Catalog,
    plan: &CreateTableFromSourcePlan,
    upstream: &Upstream<'_>,
) -> Result<NewItem, SqlError> {
    let source = catalog
        .item(plan.source)
        .ok_or_else(|| SqlError::new(SqlState::UNDEFINED_OBJECT, "the source was dropped"))?;
    check_not_empty(upstream)?;
    let table = find_table(&plan.reference, upstream)?;
    let text = unique_columns(table, &plan.text_columns, "TEXT COLUMNS")?;
    let exclude = unique_columns(table, &plan.exclude_columns, "EXCLUDE COLUMNS")?;
    let columns = ColumnChoice { text: &text, exclude: &exclude };
    let source = (plan.source, &source.name);
    new_table(catalog, plan.name.clone(), source, table, &columns, false)
}

/// How values of an upstream type are carried; None if they cannot be.
pub fn scalar_type(type_oid: u32) -> Option<ScalarType> {
    const XML: u32 = 142;
    const FIRST_USER_OID: u32 = 16_384;
    match type_oid {
        // A document's value is its text.
        XML => return Some(ScalarType::Text),
        // Types of the upstream's own: their oids mean nothing here, or something else.
        FIRST_USER_OID.. => return None,
        _ => {}
    }
    match ScalarType::from_oid(Oid(type_oid))? {
        ScalarType::Unknown
        | ScalarType::Regclass
        | ScalarType::Regtype
        | ScalarType::Regproc
        | ScalarType::Record(_) => None,
        ScalarType::Array(element)
            if matches!(
                *element,
                ScalarType::Regclass
                    | ScalarType::Regtype
                    | ScalarType::Regproc
                    | ScalarType::Record(_)
            ) =>
        {
            None
        }
        found => Some(found),
    }
}

/// The columns of one table that are treated specially, by attribute number.
struct ColumnChoice<'a> {
    text: &'a [i16],
    exclude: &'a [i16],
}

fn shown(table: &UpstreamTable) -> String {
    format!("{}.{}", quote_identifier(&table.schema), quote_identifier(&table.name))
}

fn check_not_empty(upstream: &Upstream<'_>) -> Result<(), SqlError> {
    if !upstream.tables.is_empty() {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("publication \"{}\" has no tables", upstream.publication),
    )
    .with_hint("Add tables upstream with ALTER PUBLICATION .. ADD TABLE."))
}

fn wanted_tables<'a>(
    asked: &TablesWanted,
    beside: &QualifiedName,
    upstream: &Upstream<'a>,
) -> Result<Vec<(&'a UpstreamTable, QualifiedName)>, SqlError> {
    let in_source_schema =
        |table: &UpstreamTable| QualifiedName { item: table.name.clone(), ..beside.clone() };
    let all = |tables: Vec<&'a UpstreamTable>| {
        tables.into_iter().map(|table| (table, in_source_schema(table))).collect()
    };
    if *asked != TablesWanted::None {
        check_not_empty(upstream)?;
    }
    match asked {
        TablesWanted::None => Ok(Vec::new()),
        TablesWanted::All => Ok(all(upstream.tables.iter().collect())),
        TablesWanted::Schemas(schemas) => {
            for schema in schemas {
                if !upstream.tables.iter().any(|table| table.schema == *schema) {
                    return Err(SqlError::new(
                        SqlState::INVALID_SCHEMA_NAME,
                        format!(
                            "publication \"{}\" has no table in schema \"{schema}\"",
                            upstream.publication
                        ),
                    ));
                }
            }
            Ok(all(upstream
                .tables
                .iter()
                .filter(|table| schemas.contains(&table.schema))
                .collect()))
        }
        TablesWanted::Tables(wanted) => {
            let mut tables: Vec<(&UpstreamTable, QualifiedName)> = Vec::new();
            for (reference, alias) in wanted {
                let table = find_table(reference, upstream)?;
                if tables.iter().any(|(other, _)| other.oid == table.oid) {
                    return Err(SqlError::new(
                        SqlState::DUPLICATE_TABLE,
                        format!("table {} is named more than once", shown(table)),
                    )
                    .with_hint(
                        "Use CREATE TABLE .. FROM SOURCE for a second table over the same one.",
                    ));
                }
                tables.push((table, alias.clone().unwrap_or_else(|| in_source_schema(table))));
            }
            Ok(tables)
        }
    }
}

/// The table of the publication that `[database.][schema.]table` means.
fn find_table<'a>(
    reference: &[String],
    upstream: &Upstream<'a>,
) -> Result<&'a UpstreamTable, SqlError> {
    let (schema, name) = match reference {
        [name] => (None, name),
        [schema, name] | [_, schema, name] => (Some(schema), name),
        _ => {
            return Err(SqlError::new(
                SqlState::INVALID_NAME,
                format!("improper table name: {}", reference.join(".")),
            ));
        }
    };
    let found: Vec<&UpstreamTable> = upstream
        .tables
        .iter()
        .filter(|table| table.name == *name && schema.is_none_or(|schema| table.schema == *schema))
        .collect();
    match found.as_slice() {
        [table] => Ok(table),
        [] => {
            let elsewhere: Vec<String> = upstream
                .tables
                .iter()
                .filter(|table| table.name.eq_ignore_ascii_case(name))
                .map(shown)
                .collect();
            let error = SqlError::new(
                SqlState::UNDEFINED_TABLE,
                format!(
                    "table \"{}\" is not in publication \"{}\"",
                    reference.join("."),
                    upstream.publication
                ),
            );
            Err(if elsewhere.is_empty() {
                error.with_hint(
                    "Check that the table exists upstream, and add it with ALTER PUBLICATION .. \
                     ADD TABLE.",
                )
            } else {
                error.with_hint(format!("The publication has {}.", elsewhere.join(", ")))
            })
        }
        several => {
            let names: Vec<String> = several.iter().map(|table| shown(table)).collect();
            Err(SqlError::new(
                SqlState::AMBIGUOUS_ALIAS,
                format!("table name \"{name}\" is ambiguous"),
            )
            .with_detail(format!(
                "Publication \"{}\" has {}.",
                upstream.publication,
                names.join(" and ")
            ))
            .with_hint("Name the schema too."))
        }
    }
}

fn check_names(
    catalog: &Catalog,
    source: Option<&QualifiedName>,
    wanted: &[(&UpstreamTable, QualifiedName)],
) -> Result<(), SqlError> {
    let mut names: BTreeMap<&QualifiedName, &UpstreamTable> = BTreeMap::new();
    for (table, name) in wanted {
        if let Some(other) = names.insert(name, table) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_TABLE,
                format!("two upstream tables would get the name \"{}\"", name.item),
            )
            .with_detail(format!("They are {} and {}.", shown(other), shown(table)))
            .with_hint("Use FOR TABLES (.. AS ..) with a name for each, or FOR SCHEMAS (..)."));
        }
        if catalog.item_by_name(name).is_some() || Some(name) == source {
            return Err(tidemill_catalog::snapshot::already_exists(&name.item).with_hint(format!(
                "Use FOR TABLES ({} AS ..) to give the table another name.",
                shown(table)
            )));
        }
    }
    Ok(())
}

/// Sorts `[[database.]schema.]table.column` by table.
fn columns_by_table(
    columns: &[Vec<String>],
    option: &str,
    tables: &[&UpstreamTable],
) -> Result<BTreeMap<u32, Vec<i16>>, SqlError> {
    let mut named: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for parts in columns {
        let Some((column, table)) = parts.split_last().filter(|(_, table)| !table.is_empty())
        else {
            return Err(SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid column \"{}\" in option {option}", parts.join(".")),
            )
            .with_hint("Write the table before the column: table.column."));
        };
        let candidates: Vec<u32> = tables
            .iter()
            .filter(|candidate| matches(candidate, table))
            .map(|candidate| candidate.oid)
            .collect();
        match candidates.as_slice() {
            [oid] => named.entry(*oid).or_default().push(column.clone()),
            [] => {
                return Err(SqlError::new(
                    SqlState::UNDEFINED_TABLE,
                    format!(
                        "option {option} names table \"{}\", which is not one of the source",
                        table.join(".")
                    ),
                ));
            }
            _ => {
                return Err(SqlError::new(
                    SqlState::AMBIGUOUS_ALIAS,
                    format!("table name \"{}\" in option {option} is ambiguous", table.join(".")),
                )
                .with_hint("Name the schema too."));
            }
        }
    }
    let mut result = BTreeMap::new();
    for table in tables {
        if let Some(columns) = named.get(&table.oid) {
            result.insert(table.oid, unique_columns(table, columns, option)?);
        }
    }
    Ok(result)
}

fn matches(table: &UpstreamTable, parts: &[String]) -> bool {
    match parts {
        [name] => table.name == *name,
        [schema, name] | [_, schema, name] => table.name == *name && table.schema == *schema,
        _ => false,
    }
}

/// The attribute numbers of columns, each there and named once.
fn unique_columns(
    table: &UpstreamTable,
    columns: &[String],
    option: &str,
) -> Result<Vec<i16>, SqlError> {
    let mut found = Vec::new();
    for name in columns {
        let Some(column) = table.columns.iter().find(|column| column.name == *name) else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("option {option} names column \"{name}\", which {} has not", shown(table)),
            ));
        };
        if found.contains(&column.attnum) {
            return Err(SqlError::new(
                SqlState::DUPLICATE_COLUMN,
                format!("option {option} names column \"{name}\" of {} twice", shown(table)),
            ));
        }
        found.push(column.attnum);
    }
    Ok(found)
}

fn new_table(
    catalog: &Catalog,
    name: QualifiedName,
    (source, source_name): (ObjectId, &QualifiedName),
    upstream: &UpstreamTable,
    choice: &ColumnChoice<'_>,
    subsource: bool,
) -> Result<NewItem, SqlError> {
    if let Some(both) = choice.text.iter().find(|attnum| choice.exclude.contains(attnum)) {
        let column = upstream.columns.iter().find(|column| column.attnum == *both);
        let column = column.map_or("", |column| &column.name);
        return Err(SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            format!(
                "column \"{column}\" of {} is in both TEXT COLUMNS and EXCLUDE COLUMNS",
                shown(upstream)
            ),
        ));
    }
    let mut desc = RelationDesc::default();
    let mut columns = Vec::new();
    let mut depends_on = vec![source];
    for column in &upstream.columns {
        if choice.exclude.contains(&column.attnum) {
            continue;
        }
        let text = choice.text.contains(&column.attnum);
        let typ = carried_type(catalog, &name, (upstream, column), text, &mut depends_on)?;
        desc.columns.push(Column { name: column.name.clone(), typ });
        columns.push(column.attnum);
    }
    check_identity(upstream, &columns)?;
    let key: Option<Vec<usize>> = upstream
        .primary_key
        .iter()
        .map(|attnum| columns.iter().position(|column| column == attnum))
        .collect();
    if let Some(key) = key.filter(|key| !key.is_empty()) {
        desc.keys.push(key);
    }
    let create_sql = create_sql(&name, source_name, upstream, choice);
    let source_table = SourceTable {
        source,
        upstream: upstream.clone(),
        columns,
        text_columns: choice.text.to_vec(),
        subsource,
        resyncs: 0,
        succeeds: None,
    };
    let definition = Definition::Table(Table { source: Some(source_table), ..Table::new(desc) });
    Ok(NewItem { name, create_sql, depends_on, definition, replaces: None })
}

/// Without FULL, old rows are found by the columns of the replica identity: they must be here.
fn check_identity(upstream: &UpstreamTable, columns: &[i16]) -> Result<(), SqlError> {
    let left_out = |attnum: &&i16| !columns.contains(attnum);
    let keyed = matches!(upstream.replica_identity, 'd' | 'i') && !upstream.insert_only;
    let Some(attnum) = upstream.identity.iter().find(left_out).filter(|_| keyed) else {
        return Ok(());
    };
    let column = upstream.columns.iter().find(|column| column.attnum == *attnum);
    let column = column.map_or("", |column| &column.name);
    Err(SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("column \"{column}\" of the replica identity of {} is left out", shown(upstream)),
    )
    .with_detail("Updates and deletes tell the old row by it.")
    .with_hint(format!(
        "Carry the column, or run ALTER TABLE {} REPLICA IDENTITY FULL on the upstream database.",
        shown(upstream)
    )))
}

/// A table of a source as it is upstream now, for a RESYNC. Its columns keep their names and
/// types here.
///
/// # Errors
/// The upstream's table is not in the publication any more, lacks a column, or has one of a type
/// that does not fit.
pub fn resynced(
    name: &QualifiedName,
    table: &Table,
    upstream: &Upstream<'_>,
) -> Result<Table, SqlError> {
    let Some(source) = &table.source else {
        return Err(SqlError::new(
            SqlState::WRONG_OBJECT_TYPE,
            format!("table {} follows no source", name.item),
        ));
    };
    let old = &source.upstream;
    let by_oid = upstream.tables.iter().find(|found| found.oid == old.oid);
    let by_name = || {
        upstream.tables.iter().find(|found| found.name == old.name && found.schema == old.schema)
    };
    let Some(found) = by_oid.or_else(by_name) else {
        return Err(SqlError::new(
            SqlState::UNDEFINED_TABLE,
            format!("table {} is not in publication \"{}\"", shown(old), upstream.publication),
        )
        .with_hint("Put it back with ALTER PUBLICATION .. ADD TABLE on the upstream database."));
    };
    let mut columns = Vec::with_capacity(source.columns.len());
    let mut text_columns = Vec::new();
    for (attnum, here) in source.columns.iter().zip(&table.desc.columns) {
        let was = old.columns.iter().find(|column| column.attnum == *attnum);
        let was_name = was.map_or(here.name.as_str(), |column| &column.name);
        let same = found.columns.iter().find(|c| c.attnum == *attnum && found.oid == old.oid);
        let now = same.or_else(|| found.columns.iter().find(|column| column.name == was_name));
        let Some(now) = now else {
            return Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{was_name}\" of {} is not there any more", shown(found)),
            )
            .with_hint("Add the column again upstream, or drop the table here."));
        };
        let text = source.text_columns.contains(attnum);
        check_type(found, now, was, &here.typ, text)?;
        if text {
            text_columns.push(now.attnum);
        }
        columns.push(now.attnum);
    }
    check_identity(found, &columns)?;
    check_key(table, found, &columns)?;
    let source = SourceTable {
        upstream: found.clone(),
        columns,
        text_columns,
        resyncs: source.resyncs.saturating_add(1),
        ..source.clone()
    };
    Ok(Table { source: Some(source), ..table.clone() })
}

/// The column's values must have the type that the column has here.
fn check_type(
    table: &UpstreamTable,
    now: &UpstreamColumn,
    was: Option<&UpstreamColumn>,
    here: &ColumnType,
    text: bool,
) -> Result<(), SqlError> {
    let typ = if text { Some(ScalarType::Text) } else { scalar_type(now.type_oid) };
    let unchanged = was.is_some_and(|was| was.type_oid == now.type_oid);
    let wider = matches!(
        (&here.scalar_type, &typ),
        (ScalarType::Int2, Some(ScalarType::Int4 | ScalarType::Int8))
            | (ScalarType::Int4, Some(ScalarType::Int8))
            | (ScalarType::Varchar, Some(ScalarType::Text))
    );
    if typ.as_ref() != Some(&here.scalar_type) && !unchanged && !wider {
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "column \"{}\" of {} has type {}, and {} here",
                now.name,
                shown(table),
                now.type_name,
                here.sql_name()
            ),
        )
        .with_hint("Give it its type back upstream, or drop the table here and create it again."));
    }
    if !here.nullable && !now.not_null {
        let column = quote_identifier(&now.name);
        return Err(SqlError::new(
            SqlState::NOT_NULL_VIOLATION,
            format!("column \"{}\" of {} is not NOT NULL any more", now.name, shown(table)),
        )
        .with_hint(format!(
            "Run ALTER TABLE {} ALTER COLUMN {column} SET NOT NULL on the upstream database.",
            shown(table)
        )));
    }
    Ok(())
}

/// Views may rely on the key that the table had.
fn check_key(table: &Table, found: &UpstreamTable, columns: &[i16]) -> Result<(), SqlError> {
    let key: Option<Vec<usize>> = found
        .primary_key
        .iter()
        .map(|attnum| columns.iter().position(|column| column == attnum))
        .collect();
    let holds = |wanted: &Vec<usize>| {
        key.as_ref()
            .is_some_and(|key| !key.is_empty() && key.iter().all(|column| wanted.contains(column)))
    };
    if table.desc.keys.iter().all(holds) {
        return Ok(());
    }
    Err(SqlError::new(
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("table {} does not have the primary key any more that it had", shown(found)),
    )
    .with_hint("Give it its primary key back upstream, or drop the table here."))
}

/// The type of a column here, with the enum that it needs.
fn carried_type(
    catalog: &Catalog,
    name: &QualifiedName,
    (table, column): (&UpstreamTable, &UpstreamColumn),
    text: bool,
    depends_on: &mut Vec<ObjectId>,
) -> Result<ColumnType, SqlError> {
    let Some(found) = column.enum_type.as_ref().filter(|_| !text) else {
        return column_type(table, column, text);
    };
    let full = format!("{}.{}", shown(table), quote_identifier(&column.name));
    let mut typ = enums::enum_type(catalog, name, &full, found, depends_on)?;
    if column.element_oid.is_some() {
        typ = ScalarType::Array(Box::new(typ));
    }
    Ok(ColumnType::new(typ).nullable(!column.not_null))
}

/// The type of a column here.
fn column_type(
    table: &UpstreamTable,
    column: &UpstreamColumn,
    text: bool,
) -> Result<ColumnType, SqlError> {
    if text {
        return Ok(ColumnType::new(ScalarType::Text).nullable(!column.not_null));
    }
    let Some(scalar_type) = scalar_type(column.type_oid) else {
        let full = format!("{}.{}", shown(table), quote_identifier(&column.name));
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            format!("column {full} has type {}, which is not supported", column.type_name),
        )
        .with_hint(format!(
            "Use TEXT COLUMNS ({full}) to carry it as text, or EXCLUDE COLUMNS ({full}) to leave \
             it out."
        )));
    };
    Ok(ColumnType::new(scalar_type).with_typmod(column.typmod).nullable(!column.not_null))
}

fn create_sql(
    name: &QualifiedName,
    source: &QualifiedName,
    upstream: &UpstreamTable,
    choice: &ColumnChoice<'_>,
) -> String {
    let mut text =
        format!("CREATE TABLE {name} FROM SOURCE {source} (REFERENCE = {})", shown(upstream));
    let list = |attnums: &[i16]| {
        let names: Vec<String> = upstream
            .columns
            .iter()
            .filter(|column| attnums.contains(&column.attnum))
            .map(|column| quote_identifier(&column.name))
            .collect();
        names.join(", ")
    };
    let mut options = Vec::new();
    if !choice.text.is_empty() {
        options.push(format!("TEXT COLUMNS ({})", list(choice.text)));
    }
    if !choice.exclude.is_empty() {
        options.push(format!("EXCLUDE COLUMNS ({})", list(choice.exclude)));
    }
    if !options.is_empty() {
        text.push_str(&format!(" WITH ({})", options.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests;
