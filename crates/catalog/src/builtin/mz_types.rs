//! `mz_catalog`: types, functions and operators, those that are built in among them.

use std::sync::LazyLock;

use tidemill_repr::types::TypeCategory;
use tidemill_repr::{Datum, Row, RowBuilder, ScalarType};

use super::pg_catalog::functions::{self as known, FunctionSummary};
use super::{Builtin, Content};
use crate::item::{Definition, Item};
use crate::role::Securable;
use crate::snapshot::Catalog;

/// The relations.
pub(super) const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 900,
        schema: "mz_catalog",
        name: "mz_types",
        columns: "id text, oid oid, schema_id text, name text, category text, owner_id text, \
                  privileges text[], create_sql text?",
        content: Content::ConstantAndItems(built_in_types, types),
    },
    Builtin {
        number: 901,
        schema: "mz_catalog",
        name: "mz_base_types",
        columns: "id text",
        content: Content::ConstantAndItems(base_types, created_base_types),
    },
    Builtin {
        number: 902,
        schema: "mz_catalog",
        name: "mz_array_types",
        columns: "id text, element_id text",
        content: Content::Constant(array_types),
    },
    Builtin {
        number: 903,
        schema: "mz_catalog",
        name: "mz_list_types",
        columns: "id text, element_id text",
        content: Content::Items(list_types),
    },
    Builtin {
        number: 904,
        schema: "mz_catalog",
        name: "mz_map_types",
        columns: "id text, key_id text, value_id text",
        content: Content::Items(map_types),
    },
    Builtin {
        number: 905,
        schema: "mz_catalog",
        name: "mz_functions",
        columns: "id text, oid oid, schema_id text, name text, argument_type_ids text[], \
                  variadic_argument_type_id text?, return_type_id text?, returns_set bool, \
                  owner_id text",
        content: Content::Constant(functions),
    },
    Builtin {
        number: 906,
        schema: "mz_catalog",
        name: "mz_operators",
        columns: "oid oid, name text, argument_type_ids text[], return_type_id text?",
        content: Content::Constant(operators),
    },
    Builtin {
        number: 907,
        schema: "mz_catalog",
        name: "mz_timezone_names",
        columns: "name text",
        content: Content::Constant(time_zones),
    },
    Builtin {
        number: 908,
        schema: "pg_catalog",
        name: "pg_timezone_abbrevs",
        columns: "abbrev text, utc_offset interval, is_dst bool",
        content: Content::Constant(abbreviations),
    },
];

/// The schema `pg_catalog`, as `mz_schemas.id` shows it: the first.
const PG_CATALOG: &str = "s1";

/// The identity of a type by its oid: those that are built in are counted apart from objects.
fn type_id(oid: i64) -> String {
    format!("s{}", 1_000_000 + oid)
}

fn id_of(typ: &ScalarType) -> String {
    type_id(i64::from(typ.oid().0))
}

fn category(typ: &ScalarType) -> &'static str {
    match typ {
        ScalarType::List(_) => return "list",
        ScalarType::Map(_) => return "map",
        _ => {}
    }
    match typ.category() {
        TypeCategory::Array => "array",
        TypeCategory::Boolean => "boolean",
        TypeCategory::Composite => "composite",
        TypeCategory::DateTime => "date-time",
        TypeCategory::Enum => "enum",
        TypeCategory::Network => "network-address",
        TypeCategory::Numeric => "numeric",
        TypeCategory::Pseudo => "pseudo",
        TypeCategory::Range => "range",
        TypeCategory::String => "string",
        TypeCategory::Timespan => "timespan",
        TypeCategory::BitString => "bit-string",
        _ => "user-defined",
    }
}

/// All types that are built in, with the array types over them.
fn all_types() -> impl Iterator<Item = ScalarType> {
    let arrays = ScalarType::ALL.iter().filter(|typ| **typ != ScalarType::Unknown);
    let arrays = arrays.map(|typ| ScalarType::Array(Box::new(typ.clone())));
    ScalarType::ALL.iter().cloned().chain(arrays)
}

fn built_in_types() -> Vec<Row> {
    let owner = crate::role::Role::builtin()[0].id_text();
    let row = |typ: ScalarType| {
        let mut row = RowBuilder::new();
        row.push(Datum::Text(&id_of(&typ)));
        row.push(Datum::Int(i64::from(typ.oid().0)));
        row.push(Datum::Text(PG_CATALOG));
        row.push(Datum::Text(&typ.pg_name()));
        row.push(Datum::Text(category(&typ)));
        row.push(Datum::Text(&owner));
        let usage = format!("=U/{owner}");
        row.push_array(&[(1, 1)], [Datum::Text(&usage)]);
        row.push(Datum::Null);
        row.finish()
    };
    all_types().map(row).collect()
}

fn created(item: &Item) -> Option<&ScalarType> {
    match &item.definition {
        Definition::Type(created) => Some(&created.typ),
        _ => None,
    }
}

fn types(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let Some(typ) = created(item) else { return };
    let acl = super::roles::privileges(catalog, &Securable::Item(item.id));
    let (id, schema) = (item.id.to_string(), super::mz_catalog::schema_id(catalog, item));
    let owner = catalog.role_id(&item.owner);
    let first = [
        Datum::Text(&id),
        Datum::Int(i64::from(item.oid.0)),
        Datum::Text(&schema),
        Datum::Text(&item.name.item),
        Datum::Text(category(typ)),
        Datum::Text(&owner),
    ];
    rows.push(Row::pack(
        first.into_iter().chain(acl.iter()).chain([Datum::Text(&item.create_sql)]),
    ));
}

fn base_types() -> Vec<Row> {
    ScalarType::ALL.iter().map(|typ| Row::pack([Datum::Text(&id_of(typ))])).collect()
}

fn created_base_types(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let Some(typ) = created(item) else { return };
    if !matches!(typ, ScalarType::List(_) | ScalarType::Map(_)) {
        rows.push(Row::pack([Datum::Text(&item.id.to_string())]));
    }
}

fn array_types() -> Vec<Row> {
    let row = |typ: ScalarType| match &typ {
        ScalarType::Array(element) => {
            Some(Row::pack([Datum::Text(&id_of(&typ)), Datum::Text(&id_of(element))]))
        }
        _ => None,
    };
    all_types().filter_map(row).collect()
}

fn list_types(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    if let Some(ScalarType::List(element)) = created(item) {
        rows.push(Row::pack([Datum::Text(&item.id.to_string()), Datum::Text(&id_of(element))]));
    }
}

fn map_types(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    if let Some(ScalarType::Map(value)) = created(item) {
        rows.push(Row::pack([
            Datum::Text(&item.id.to_string()),
            Datum::Text(&id_of(&ScalarType::Text)),
            Datum::Text(&id_of(value)),
        ]));
    }
}

fn push_ids(row: &mut RowBuilder, oids: &[i64]) {
    let ids: Vec<String> = oids.iter().map(|oid| type_id(*oid)).collect();
    let length = i32::try_from(ids.len()).unwrap_or(i32::MAX);
    let dimensions = if ids.is_empty() { Vec::new() } else { vec![(length, 1)] };
    row.push_array(&dimensions, ids.iter().map(|id| Datum::Text(id)));
}

fn functions() -> Vec<Row> {
    static OWNER: LazyLock<String> = LazyLock::new(|| crate::role::Role::builtin()[0].id_text());
    let row = |function: FunctionSummary| {
        let mut row = RowBuilder::new();
        row.push(Datum::Text(&format!("s{}", 2_000_000 + function.oid)));
        row.push(Datum::Int(function.oid));
        row.push(Datum::Text(PG_CATALOG));
        row.push(Datum::Text(function.name));
        let (fixed, rest) = match function.arguments.split_last() {
            Some((last, fixed)) if function.variadic => (fixed, Some(type_id(*last))),
            _ => (&function.arguments[..], None),
        };
        push_ids(&mut row, fixed);
        row.push(rest.as_deref().map_or(Datum::Null, Datum::Text));
        let returns = function.returns.map(type_id);
        row.push(returns.as_deref().map_or(Datum::Null, Datum::Text));
        row.push(Datum::Bool(function.returns_set));
        row.push(Datum::Text(&OWNER));
        row.finish()
    };
    known::function_summaries().map(row).collect()
}

fn operators() -> Vec<Row> {
    let row = |(oid, name, sides, result): (i64, &str, [i64; 2], i64)| {
        let mut row = RowBuilder::new();
        row.push(Datum::Int(oid));
        row.push(Datum::Text(name));
        let taken: Vec<i64> = sides.into_iter().filter(|side| *side != 0).collect();
        push_ids(&mut row, &taken);
        row.push(Datum::Text(&type_id(result)));
        row.finish()
    };
    known::operator_summaries().map(row).collect()
}

fn time_zones() -> Vec<Row> {
    let names = tidemill_repr::time::TimeZone::names();
    names.iter().map(|name| Row::pack([Datum::Text(name)])).collect()
}

fn abbreviations() -> Vec<Row> {
    let row = |(name, seconds): (&str, i32)| {
        let offset =
            tidemill_repr::Interval { months: 0, days: 0, micros: i64::from(seconds) * 1_000_000 };
        let summer = ["bst", "cest", "mest", "eest", "edt", "cdt", "mdt", "pdt"].contains(&name);
        Row::pack([Datum::Text(&name.to_uppercase()), Datum::Interval(offset), Datum::Bool(summer)])
    };
    tidemill_repr::time::TimeZone::abbreviations().map(row).collect()
}
