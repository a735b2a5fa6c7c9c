//! `pg_catalog`: types, casts and collations.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use tidemill_expr::CastContext;
use tidemill_repr::types::TypeCategory;
use tidemill_repr::{Datum, RangeKind, Row, ScalarType};

use super::super::fill::{Shape, Value, oid};
use super::super::{Builtin, Content, DATABASE_COLUMN, roles};
use super::PG_CATALOG;
use super::functions::function_oid;
use super::type_functions;
use crate::item::{Definition, Item, type_name};
use crate::name::quote_identifier;
use crate::snapshot::Catalog;

const TYPE: &str = "oid oid, typname name, typnamespace oid, typowner oid, typlen int2, \
     typbyval bool, typtype char, typcategory char, typispreferred bool, \
     typisdefined bool, typdelim char, typrelid oid, typsubscript regproc, \
     typelem oid, typarray oid, typinput regproc, typoutput regproc, \
     typreceive regproc, typsend regproc, typmodin regproc, typmodout regproc, \
     typanalyze regproc, typalign char, typstorage char, typnotnull bool, \
     typbasetype oid, typtypmod int4, typndims int4, typcollation oid, \
     typdefaultbin text?, typdefault text?, typacl text[]?, database_name name?";
const ENUM: &str = "oid oid, enumtypid oid, enumsortorder float4, enumlabel name";
const RANGE: &str = "rngtypid oid, rngsubtype oid, rngmultitypid oid, rngcollation oid, \
     rngsubopc oid, rngcanonical regproc, rngsubdiff regproc";
const CAST: &str = "oid oid, castsource oid, casttarget oid, castfunc oid, castcontext char, \
     castmethod char";
const COLLATION: &str = "oid oid, collname name, collnamespace oid, collowner oid, \
     collprovider char, collisdeterministic bool, collencoding int4, collcollate text?, \
     collctype text?, colllocale text?, colliculocale text?, collicurules text?, \
     collversion text?";

/// The collation that texts have, as in PostgreSQL.
const DEFAULT_COLLATION: i64 = 100;

/// The relations.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 303,
        schema: "pg_catalog",
        name: "pg_type",
        columns: TYPE,
        content: Content::Items(types),
    },
    Builtin {
        number: 307,
        schema: "pg_catalog",
        name: "pg_cast",
        columns: CAST,
        content: Content::Constant(casts),
    },
    Builtin {
        number: 308,
        schema: "pg_catalog",
        name: "pg_collation",
        columns: COLLATION,
        content: Content::Constant(collations),
    },
    Builtin {
        number: 434,
        schema: "pg_catalog",
        name: "pg_range",
        columns: RANGE,
        content: Content::Constant(ranges),
    },
    Builtin {
        number: 433,
        schema: "pg_catalog",
        name: "pg_enum",
        columns: ENUM,
        content: Content::Items(labels),
    },
    Builtin {
        number: 216,
        schema: "mz_internal",
        name: "mz_created_type_names",
        columns: "oid oid, namespace oid, name text, full_name text",
        content: Content::Items(created_names),
    },
    Builtin {
        number: 209,
        schema: "mz_internal",
        name: "mz_type_names",
        columns: "name text, oid oid, database_name name?",
        content: Content::ConstantAndItems(names, full_names),
    },
];

/// The names by which a type is found: that of `pg_type` and that of SQL.
fn names() -> Vec<Row> {
    let mut names = BTreeSet::new();
    for typ in ScalarType::ALL.iter().filter(|typ| **typ != ScalarType::Unknown) {
        for typ in [typ.clone(), ScalarType::Array(Box::new(typ.clone()))] {
            names.insert((typ.pg_name(), typ.oid().0));
            names.insert((typ.to_string(), typ.oid().0));
            names.insert((format!("pg_catalog.{}", typ.pg_name()), typ.oid().0));
            names.insert((in_quotes("pg_catalog", &typ.pg_name()), typ.oid().0));
        }
    }
    let row = |(name, number): &(String, u32)| {
        Row::pack([Datum::Text(name), Datum::Int(i64::from(*number)), Datum::Null])
    };
    names.iter().map(row).collect()
}

/// A name as clients put it together that quote always.
fn in_quotes(schema: &str, name: &str) -> String {
    format!("\"{}\".\"{}\"", schema.replace('"', "\"\""), name.replace('"', "\"\""))
}

/// The names with its schema of a type that a user made.
fn full_names(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    if item.is_system() {
        return;
    }
    let Some(typ) = item.type_of() else { return };
    let (own, array) = match typ.created() {
        Some(created) => (created.oid, Some(created.array_oid)),
        None => (item.oid, None),
    };
    let database = item.name.database.as_deref().map_or(Datum::Null, Datum::Text);
    for (number, prefix) in [(Some(own), ""), (array, "_")] {
        let Some(number) = number else { continue };
        let (schema, name) = (&item.name.schema, format!("{prefix}{}", item.name.item));
        let shown = format!("{}.{}", quote_identifier(schema), quote_identifier(&name));
        for text in [shown, in_quotes(schema, &name)] {
            rows.push(Row::pack([Datum::Text(&text), Datum::Int(i64::from(number.0)), database]));
        }
    }
}

fn category(typ: &ScalarType) -> &'static str {
    match typ.category() {
        TypeCategory::Array => "A",
        TypeCategory::Boolean => "B",
        TypeCategory::Composite => "C",
        TypeCategory::Enum => "E",
        TypeCategory::Network => "I",
        TypeCategory::Range => "R",
        TypeCategory::BitString => "V",
        TypeCategory::DateTime => "D",
        TypeCategory::Numeric => "N",
        TypeCategory::Pseudo => "P",
        TypeCategory::String => "S",
        TypeCategory::Timespan => "T",
        TypeCategory::User => "U",
        TypeCategory::Unknown => "X",
        TypeCategory::InternalUse => "Z",
    }
}

/// `typbyval`: what fits a machine word.
pub(super) fn by_value(typ: &ScalarType) -> bool {
    matches!(typ.type_length(), 1 | 2 | 4 | 8)
}

/// `typstorage`
pub(super) fn storage(typ: &ScalarType) -> &'static str {
    match typ {
        ScalarType::Numeric => "m",
        _ if typ.type_length() < 0 => "x",
        _ => "p",
    }
}

/// `typalign`
pub(super) fn alignment(typ: &ScalarType) -> &'static str {
    match typ.type_length() {
        8 => "d",
        2 => "s",
        1 => "c",
        _ if matches!(typ, ScalarType::Interval) => "d",
        _ if matches!(typ, ScalarType::Uuid | ScalarType::Name) => "c",
        _ => "i",
    }
}

/// `typcollation`: the default one for texts.
pub(super) fn collation(typ: &ScalarType) -> i64 {
    match typ {
        ScalarType::Text | ScalarType::Varchar | ScalarType::Bpchar => DEFAULT_COLLATION,
        ScalarType::Name => 950,
        ScalarType::Array(element) => collation(element),
        ScalarType::Domain(_) => collation(typ.base()),
        _ => 0,
    }
}

fn type_kind(typ: &ScalarType) -> &'static str {
    match typ {
        ScalarType::Unknown => "p",
        ScalarType::Range(_) => "r",
        ScalarType::Multirange(_) => "m",
        ScalarType::Enum(_) => "e",
        ScalarType::Domain(_) => "d",
        ScalarType::Composite(_) => "c",
        _ => "b",
    }
}

/// Those that are built in go with the relation itself.
fn types(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(TYPE));
    if item.is_system() {
        if item.name.item == "pg_type" {
            rows.extend(built_in());
        }
        return;
    }
    let Some(typ) = item.type_of() else { return };
    let name = type_name(&item.name, item.oid);
    let own = match &typ {
        // A list that has a name.
        ScalarType::List(_) | ScalarType::Map(_) => item.oid,
        other => other.oid(),
    };
    let array = match typ.created() {
        Some(created) => created.array_oid.0,
        None => 0,
    };
    let (base, typmod, rules) = match (&item.definition, &typ) {
        (Definition::Type(created), ScalarType::Domain(domain)) => {
            (domain.base.scalar_type.oid().0, domain.base.typmod, Some(&created.rules))
        }
        _ => (0, -1, None),
    };
    let relation = match &typ {
        ScalarType::Composite(_) => item.oid.0,
        _ => 0,
    };
    let default = rules.and_then(|rules| rules.default.as_deref());
    let schema = i64::from(catalog.schema_oid(&item.name).0);
    let functions = type_functions::columns(&typ);
    rows.push(
        SHAPE.row(
            &[
                functions.as_slice(),
                &[
                    ("oid", oid(own)),
                    ("typname", Value::Text(&name.name)),
                    ("typnamespace", Value::Int(schema)),
                    ("typowner", Value::Int(roles::oid(&item.owner))),
                    ("typlen", Value::Int(i64::from(typ.type_length()))),
                    ("typbyval", Value::Bool(by_value(&typ))),
                    ("typtype", Value::Text(type_kind(&typ))),
                    ("typcategory", Value::Text(category(&typ))),
                    ("typisdefined", Value::Bool(true)),
                    ("typdelim", Value::Text(",")),
                    ("typrelid", Value::Int(i64::from(relation))),
                    ("typarray", Value::Int(i64::from(array))),
                    ("typalign", Value::Text(alignment(&typ))),
                    ("typstorage", Value::Text(storage(&typ))),
                    ("typnotnull", Value::Bool(rules.is_some_and(|rules| rules.not_null))),
                    ("typbasetype", Value::Int(i64::from(base))),
                    ("typtypmod", Value::Int(i64::from(typmod))),
                    ("typcollation", Value::Int(collation(&typ))),
                    ("typdefaultbin", Value::Optional(default)),
                    ("typdefault", Value::Optional(default)),
                    (DATABASE_COLUMN, Value::Optional(item.name.database.as_deref())),
                ],
            ]
            .concat(),
        ),
    );
    if array == 0 {
        return;
    }
    let functions = type_functions::columns(&ScalarType::Array(Box::new(ScalarType::Int4)));
    rows.push(
        SHAPE.row(
            &[
                functions.as_slice(),
                &[
                    ("oid", Value::Int(i64::from(array))),
                    ("typname", Value::Text(&format!("_{}", name.name))),
                    ("typnamespace", Value::Int(schema)),
                    ("typowner", Value::Int(roles::oid(&item.owner))),
                    ("typlen", Value::Int(-1)),
                    ("typtype", Value::Text("b")),
                    ("typcategory", Value::Text("A")),
                    ("typisdefined", Value::Bool(true)),
                    ("typdelim", Value::Text(",")),
                    ("typelem", oid(own)),
                    ("typalign", Value::Text(alignment(&typ))),
                    ("typstorage", Value::Text("x")),
                    ("typtypmod", Value::Int(-1)),
                    ("typcollation", Value::Int(collation(&typ))),
                    (DATABASE_COLUMN, Value::Optional(item.name.database.as_deref())),
                ],
            ]
            .concat(),
        ),
    );
}

/// How far from a type's oid, in thousands, those of its labels are.
const LABEL_OIDS: i64 = 2_000_000_000;

fn labels(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(ENUM));
    let Definition::Type(created) = &item.definition else { return };
    let ScalarType::Enum(definition) = &created.typ else { return };
    for ((order, label), number) in definition.labels.iter().zip(0..) {
        let place = i64::from(item.oid.0) * 1000 + number;
        rows.push(SHAPE.row(&[
            ("oid", Value::Int(LABEL_OIDS + place % LABEL_OIDS)),
            ("enumtypid", oid(item.oid)),
            ("enumsortorder", Value::Float4(f32::from_bits(*order))),
            ("enumlabel", Value::Text(label)),
        ]));
    }
}

/// The names of created types and of the arrays over them, as `format_type` shows them.
fn created_names(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    if item.is_system() {
        return;
    }
    let Some(typ) = item.type_of() else { return };
    let (own, array) = match typ.created() {
        Some(created) => (created.oid, Some(created.array_oid)),
        None => (item.oid, None),
    };
    let schema = i64::from(catalog.schema_oid(&item.name).0);
    let name = quote_identifier(&item.name.item);
    let full = format!("{}.{name}", quote_identifier(&item.name.schema));
    for (number, brackets) in [(Some(own), ""), (array, "[]")] {
        let Some(number) = number else { continue };
        rows.push(Row::pack([
            Datum::Int(i64::from(number.0)),
            Datum::Int(schema),
            Datum::Text(&format!("{name}{brackets}")),
            Datum::Text(&format!("{full}{brackets}")),
        ]));
    }
}

fn built_in() -> Vec<Row> {
    let shape = Shape::of(TYPE);
    let arrays = ScalarType::ALL
        .iter()
        .filter(|typ| **typ != ScalarType::Unknown)
        .map(|typ| ScalarType::Array(Box::new(typ.clone())));
    let all = ScalarType::ALL.iter().cloned().chain(arrays);
    all.map(|typ| {
        let (element, array) = match &typ {
            ScalarType::Array(element) => (element.oid().0, 0),
            ScalarType::Unknown => (0, 0),
            ScalarType::Int2Vector => (ScalarType::Int2.oid().0, typ.array_oid().0),
            ScalarType::OidVector => (ScalarType::Oid.oid().0, typ.array_oid().0),
            other => (0, other.array_oid().0),
        };
        let functions = type_functions::columns(&typ);
        shape.row(
            &[
                functions.as_slice(),
                &[
                    ("oid", oid(typ.oid())),
                    ("typname", Value::Text(&typ.pg_name())),
                    ("typnamespace", Value::Int(PG_CATALOG)),
                    ("typowner", Value::Int(roles::oid(roles::SYSTEM))),
                    ("typlen", Value::Int(i64::from(typ.type_length()))),
                    ("typbyval", Value::Bool(by_value(&typ))),
                    ("typtype", Value::Text(type_kind(&typ))),
                    ("typcategory", Value::Text(category(&typ))),
                    ("typispreferred", Value::Bool(typ.is_preferred())),
                    ("typisdefined", Value::Bool(true)),
                    ("typdelim", Value::Text(",")),
                    ("typelem", Value::Int(i64::from(element))),
                    ("typarray", Value::Int(i64::from(array))),
                    ("typalign", Value::Text(alignment(&typ))),
                    ("typstorage", Value::Text(storage(&typ))),
                    ("typtypmod", Value::Int(-1)),
                    ("typcollation", Value::Int(collation(&typ))),
                ],
            ]
            .concat(),
        )
    })
    .chain(super::pseudo_types::rows(&shape))
    .collect()
}

/// What each range type is over, and its multirange type.
fn ranges() -> Vec<Row> {
    let shape = Shape::of(RANGE);
    RangeKind::ALL
        .into_iter()
        .map(|kind| {
            shape.row(&[
                ("rngtypid", oid(ScalarType::Range(kind).oid())),
                ("rngsubtype", oid(kind.subtype().oid())),
                ("rngmultitypid", oid(ScalarType::Multirange(kind).oid())),
            ])
        })
        .collect()
}

fn casts() -> Vec<Row> {
    let shape = Shape::of(CAST);
    let mut number = 12_000;
    tidemill_expr::functions::all_casts()
        .map(|cast| {
            number += 1;
            let function = cast.function.map_or(0, function_oid);
            let context = match cast.context {
                CastContext::Implicit => "i",
                CastContext::Assignment => "a",
                CastContext::Explicit => "e",
            };
            shape.row(&[
                ("oid", Value::Int(number)),
                ("castsource", oid(cast.from.oid())),
                ("casttarget", oid(cast.to.oid())),
                ("castfunc", Value::Int(function)),
                ("castcontext", Value::Text(context)),
                ("castmethod", Value::Text(if function == 0 { "b" } else { "f" })),
            ])
        })
        .collect()
}

fn collations() -> Vec<Row> {
    let shape = Shape::of(COLLATION);
    [
        (DEFAULT_COLLATION, "default", "d", None),
        (950, "C", "c", Some("C")),
        (951, "POSIX", "c", Some("POSIX")),
    ]
    .into_iter()
    .map(|(number, name, provider, locale)| {
        shape.row(&[
            ("oid", Value::Int(number)),
            ("collname", Value::Text(name)),
            ("collnamespace", Value::Int(PG_CATALOG)),
            ("collowner", Value::Int(roles::oid(roles::SYSTEM))),
            ("collprovider", Value::Text(provider)),
            ("collisdeterministic", Value::Bool(true)),
            ("collencoding", Value::Int(-1)),
            ("collcollate", Value::Optional(locale)),
            ("collctype", Value::Optional(locale)),
        ])
    })
    .collect()
}
