//! `information_schema`: constraints, the columns they are about, and sequences.

use std::sync::LazyLock;

use tidemill_repr::Row;

use super::super::fill::{Shape, Value, count};
use super::super::{Builtin, Content, DATABASE_COLUMN};
use crate::constraint::ConstraintKind;
use crate::item::Item;
use crate::snapshot::Catalog;

const TABLE_CONSTRAINTS: &str = "constraint_catalog name?, constraint_schema name?, \
     constraint_name name?, table_catalog name?, table_schema name?, table_name name?, \
     constraint_type text?, is_deferrable text?, initially_deferred text?, enforced text?, \
     nulls_distinct text?, database_name name?";
const KEY_COLUMN_USAGE: &str = "constraint_catalog name?, constraint_schema name?, \
     constraint_name name?, table_catalog name?, table_schema name?, table_name name?, \
     column_name name?, ordinal_position int4?, position_in_unique_constraint int4?, \
     database_name name?";
const CONSTRAINT_COLUMN_USAGE: &str = "table_catalog name?, table_schema name?, \
     table_name name?, column_name name?, constraint_catalog name?, constraint_schema name?, \
     constraint_name name?, database_name name?";
const CHECK_CONSTRAINTS: &str = "constraint_catalog name?, constraint_schema name?, \
     constraint_name name?, check_clause text?, database_name name?";
const SEQUENCES: &str = "sequence_catalog name?, sequence_schema name?, sequence_name name?, \
         data_type text?, numeric_precision int4?, numeric_precision_radix int4?, \
         numeric_scale int4?, start_value text?, minimum_value text?, maximum_value text?, \
         increment text?, cycle_option text?, database_name name?";

/// The relations.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 600,
        schema: "information_schema",
        name: "table_constraints",
        columns: TABLE_CONSTRAINTS,
        content: Content::Items(table_constraints),
    },
    Builtin {
        number: 601,
        schema: "information_schema",
        name: "key_column_usage",
        columns: KEY_COLUMN_USAGE,
        content: Content::Items(key_column_usage),
    },
    Builtin {
        number: 602,
        schema: "information_schema",
        name: "constraint_column_usage",
        columns: CONSTRAINT_COLUMN_USAGE,
        content: Content::Items(constraint_column_usage),
    },
    Builtin {
        number: 605,
        schema: "information_schema",
        name: "check_constraints",
        columns: CHECK_CONSTRAINTS,
        content: Content::Items(check_constraints),
    },
    Builtin {
        number: 610,
        schema: "information_schema",
        name: "sequences",
        columns: SEQUENCES,
        content: Content::Items(sequences),
    },
];

/// The values of the columns that name a constraint and its table.
fn names<'a>(item: &'a Item, constraint: &'a str) -> Vec<(&'static str, Value<'a>)> {
    let database = item.name.database.as_deref();
    let schema = item.name.schema.as_str();
    vec![
        ("constraint_catalog", Value::Optional(database)),
        ("constraint_schema", Value::Text(schema)),
        ("constraint_name", Value::Text(constraint)),
        ("table_catalog", Value::Optional(database)),
        ("table_schema", Value::Text(schema)),
        ("table_name", Value::Text(&item.name.item)),
        (DATABASE_COLUMN, Value::Optional(database)),
    ]
}

fn table_constraints(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(TABLE_CONSTRAINTS));
    for constraint in item.table().map_or(&[][..], |table| &table.constraints) {
        let mut values = names(item, &constraint.name);
        let (kind, distinct) = match &constraint.kind {
            ConstraintKind::Key { key, .. } if key.primary => ("PRIMARY KEY", None),
            ConstraintKind::Key { key, .. } => {
                ("UNIQUE", Some(if key.nulls_not_distinct { "NO" } else { "YES" }))
            }
            ConstraintKind::Check { .. } => ("CHECK", None),
        };
        values.push(("constraint_type", Value::Text(kind)));
        values.push(("is_deferrable", Value::Text("NO")));
        values.push(("initially_deferred", Value::Text("NO")));
        values.push(("enforced", Value::Text("YES")));
        values.push(("nulls_distinct", Value::Optional(distinct)));
        rows.push(SHAPE.row(&values));
    }
}

fn key_column_usage(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(KEY_COLUMN_USAGE));
    let Some(table) = item.table() else { return };
    for constraint in &table.constraints {
        let Some((key, _)) = constraint.key() else { continue };
        for (position, column) in key.columns.iter().enumerate() {
            let Some(column) = table.desc.columns.get(*column) else { continue };
            let mut values = names(item, &constraint.name);
            values.push(("column_name", Value::Text(&column.name)));
            values.push(("ordinal_position", count(position + 1)));
            rows.push(SHAPE.row(&values));
        }
    }
}

fn constraint_column_usage(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(CONSTRAINT_COLUMN_USAGE));
    let Some(table) = item.table() else { return };
    for constraint in &table.constraints {
        let Some((key, _)) = constraint.key() else { continue };
        for column in key.columns.iter().filter_map(|column| table.desc.columns.get(*column)) {
            let mut values = names(item, &constraint.name);
            values.push(("column_name", Value::Text(&column.name)));
            rows.push(SHAPE.row(&values));
        }
    }
}

fn check_constraints(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(CHECK_CONSTRAINTS));
    for constraint in item.table().map_or(&[][..], |table| &table.constraints) {
        let ConstraintKind::Check { expr } = &constraint.kind else { continue };
        let clause = format!("({expr})");
        let mut values = names(item, &constraint.name);
        values.push(("check_clause", Value::Text(&clause)));
        rows.push(SHAPE.row(&values));
    }
}

fn sequences(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(SEQUENCES));
    let Some(sequence) = item.sequence() else { return };
    let bits = match sequence.data_type.as_str() {
        "smallint" => 16,
        "integer" => 32,
        _ => 64,
    };
    let database = item.name.database.as_deref();
    let numbers = [sequence.start, sequence.min, sequence.max, sequence.increment];
    let [start, min, max, increment] = numbers.map(|number| number.to_string());
    rows.push(SHAPE.row(&[
        ("sequence_catalog", Value::Optional(database)),
        ("sequence_schema", Value::Text(&item.name.schema)),
        ("sequence_name", Value::Text(&item.name.item)),
        ("data_type", Value::Text(&sequence.data_type)),
        ("numeric_precision", Value::Int(bits)),
        ("numeric_precision_radix", Value::Int(2)),
        ("numeric_scale", Value::Int(0)),
        ("start_value", Value::Text(&start)),
        ("minimum_value", Value::Text(&min)),
        ("maximum_value", Value::Text(&max)),
        ("increment", Value::Text(&increment)),
        ("cycle_option", Value::Text(if sequence.cycle { "YES" } else { "NO" })),
        (DATABASE_COLUMN, Value::Optional(database)),
    ]));
}
