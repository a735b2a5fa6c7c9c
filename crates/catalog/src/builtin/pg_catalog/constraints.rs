//! `pg_catalog`: constraints and sequences, and what Tidemill's relations never have: triggers,
//! policies, inheritance.

use std::sync::LazyLock;

use tidemill_repr::{Datum, Row, ScalarType};

use super::super::fill::{Shape, Value, oid};
use super::super::{Builtin, Content, DATABASE_COLUMN};
use crate::constraint::{ConstraintKind, Generation, constraint_oid};
use crate::item::{Definition, Item};
use crate::snapshot::Catalog;

const CONSTRAINT: &str = "oid oid, conname name, connamespace oid, contype char, \
     condeferrable bool, condeferred bool, convalidated bool, conrelid oid, contypid oid, \
     conindid oid, conparentid oid, confrelid oid, confupdtype char, confdeltype char, \
     confmatchtype char, conislocal bool, coninhcount int4, connoinherit bool, \
     conkey int2[]?, confkey int2[]?, conpfeqop oid[]?, conppeqop oid[]?, conffeqop oid[]?, \
     confdelsetcols int2[]?, conexclop oid[]?, conbin text?, database_name name?";

/// Relations without rows.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 400,
        schema: "pg_catalog",
        name: "pg_constraint",
        columns: CONSTRAINT,
        content: Content::Items(constraints),
    },
    Builtin {
        number: 401,
        schema: "pg_catalog",
        name: "pg_inherits",
        columns: "inhrelid oid, inhparent oid, inhseqno int4, inhdetachpending bool",
        content: Content::Empty,
    },
    Builtin {
        number: 402,
        schema: "pg_catalog",
        name: "pg_policy",
        columns: "oid oid, polname name, polrelid oid, polcmd char, polpermissive bool, \
         polroles oid[], polqual text?, polwithcheck text?",
        content: Content::Empty,
    },
    Builtin {
        number: 403,
        schema: "pg_catalog",
        name: "pg_policies",
        columns: "schemaname name?, tablename name?, policyname name?, permissive text?, \
         roles name[]?, cmd text?, qual text?, with_check text?",
        content: Content::Empty,
    },
    Builtin {
        number: 404,
        schema: "pg_catalog",
        name: "pg_trigger",
        columns: "oid oid, tgrelid oid, tgparentid oid, tgname name, tgfoid oid, tgtype int2, \
         tgenabled char, tgisinternal bool, tgconstrrelid oid, tgconstrindid oid, \
         tgconstraint oid, tgdeferrable bool, tginitdeferred bool, tgnargs int2, \
         tgattr int2vector, tgargs bytea, tgqual text?, tgoldtable name?, tgnewtable name?",
        content: Content::Empty,
    },
    Builtin {
        number: 405,
        schema: "pg_catalog",
        name: "pg_rewrite",
        columns: "oid oid, rulename name, ev_class oid, ev_type char, ev_enabled char, \
         is_instead bool, ev_qual text, ev_action text",
        content: Content::Empty,
    },
    Builtin {
        number: 406,
        schema: "pg_catalog",
        name: "pg_rules",
        columns: "schemaname name?, tablename name?, rulename name?, definition text?",
        content: Content::Empty,
    },
    Builtin {
        number: 407,
        schema: "pg_catalog",
        name: "pg_sequence",
        columns: "seqrelid oid, seqtypid oid, seqstart int8, seqincrement int8, seqmax int8, \
         seqmin int8, seqcache int8, seqcycle bool",
        content: Content::Items(sequences),
    },
    Builtin {
        number: 409,
        schema: "pg_catalog",
        name: "pg_partitioned_table",
        columns: "partrelid oid, partstrat char, partnatts int2, partdefid oid, partattrs int2vector, \
         partclass oidvector, partcollation oidvector, partexprs text?",
        content: Content::Empty,
    },
    Builtin {
        number: 410,
        schema: "pg_catalog",
        name: "pg_statistic_ext",
        columns: "oid oid, stxrelid oid, stxname name, stxnamespace oid, stxowner oid, \
         stxstattarget int4, stxkeys int2vector, stxkind char[], stxexprs text?",
        content: Content::Empty,
    },
    Builtin {
        number: 411,
        schema: "pg_catalog",
        name: "pg_stats_ext",
        columns: "schemaname name?, tablename name?, statistics_schemaname name?, \
         statistics_name name?, statistics_owner name?, attnames name[]?, exprs text[]?, \
         kinds char[]?, inherited bool?, n_distinct text?, dependencies text?, \
         most_common_vals text[]?, most_common_val_nulls bool[]?, \
         most_common_freqs float8[]?, most_common_base_freqs float8[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 412,
        schema: "pg_catalog",
        name: "pg_stats",
        columns: "schemaname name?, tablename name?, attname name?, inherited bool?, \
         null_frac float4?, avg_width int4?, n_distinct float4?, most_common_vals text?, \
         most_common_freqs float4[]?, histogram_bounds text?, correlation float4?, \
         most_common_elems text?, most_common_elem_freqs float4[]?, \
         elem_count_histogram float4[]?",
        content: Content::Empty,
    },
    Builtin {
        number: 413,
        schema: "pg_catalog",
        name: "pg_depend",
        columns: "classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, \
         refobjsubid int4, deptype char",
        content: Content::Items(dependencies),
    },
    Builtin {
        number: 414,
        schema: "pg_catalog",
        name: "pg_shdepend",
        columns: "dbid oid, classid oid, objid oid, objsubid int4, refclassid oid, refobjid oid, \
         deptype char",
        content: Content::Empty,
    },
    Builtin {
        number: 415,
        schema: "pg_catalog",
        name: "pg_description",
        columns: "objoid oid, classoid oid, objsubid int4, description text",
        content: Content::Catalog(super::super::objects::descriptions),
    },
    Builtin {
        number: 416,
        schema: "pg_catalog",
        name: "pg_shdescription",
        columns: "objoid oid, classoid oid, description text",
        content: Content::Catalog(super::super::objects::shared_descriptions),
    },
    Builtin {
        number: 417,
        schema: "pg_catalog",
        name: "pg_seclabel",
        columns: "objoid oid, classoid oid, objsubid int4, provider text, label text",
        content: Content::Empty,
    },
    Builtin {
        number: 418,
        schema: "pg_catalog",
        name: "pg_seclabels",
        columns: "objoid oid?, classoid oid?, objsubid int4?, objtype text?, objnamespace oid?, \
         objname text?, provider text?, label text?",
        content: Content::Empty,
    },
];

fn constraints(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    static SHAPE: LazyLock<Shape> = LazyLock::new(|| Shape::of(CONSTRAINT));
    let Some(table) = item.table() else { return };
    for (position, constraint) in table.constraints.iter().enumerate() {
        let mut values = vec![
            ("oid", oid(constraint_oid(item.id, position))),
            ("conname", Value::Text(&constraint.name)),
            ("connamespace", oid(catalog.schema_oid(&item.name))),
            ("convalidated", Value::Bool(true)),
            ("conrelid", oid(item.oid)),
            ("confupdtype", Value::Text(" ")),
            ("confdeltype", Value::Text(" ")),
            ("confmatchtype", Value::Text(" ")),
            ("conislocal", Value::Bool(true)),
            (DATABASE_COLUMN, Value::Optional(item.name.database.as_deref())),
        ];
        match &constraint.kind {
            ConstraintKind::Key { key, index } => {
                values.push(("contype", Value::Text(if key.primary { "p" } else { "u" })));
                values.push(("connoinherit", Value::Bool(true)));
                if let Some(index) = catalog.item(*index) {
                    values.push(("conindid", oid(index.oid)));
                }
                let number = |column: &usize| i64::try_from(column + 1).unwrap_or(0);
                values.push(("conkey", Value::Ints(key.columns.iter().map(number).collect())));
            }
            ConstraintKind::Check { expr } => {
                values.push(("contype", Value::Text("c")));
                values.push(("conbin", Value::Text(expr)));
            }
        }
        rows.push(SHAPE.row(&values));
    }
}

/// What hangs on what, as far as clients ask: a sequence on its column, an index on its constraint or its table.
fn dependencies(catalog: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    const CLASS: i64 = 1259;
    const CONSTRAINT: i64 = 2606;
    let mut add = |class: i64, object: i64, on_class: i64, on: i64, column: usize, kind: &str| {
        rows.push(Row::pack([
            Datum::Int(class),
            Datum::Int(object),
            Datum::Int(0),
            Datum::Int(on_class),
            Datum::Int(on),
            Datum::Int(i64::try_from(column).unwrap_or(0)),
            Datum::Text(kind),
        ]));
    };
    let own = i64::from(item.oid.0);
    if let Some((table, column)) = item.sequence().and_then(|sequence| sequence.owned_by)
        && let Some(on) = catalog.item(table)
    {
        let identity = on.table().is_some_and(|table| {
            matches!(table.generation(column), Some(Generation::Identity { .. }))
        });
        add(CLASS, own, CLASS, i64::from(on.oid.0), column + 1, if identity { "i" } else { "a" });
    }
    if let Some(table) = item.table() {
        for (position, constraint) in table.constraints.iter().enumerate() {
            let named = i64::from(constraint_oid(item.id, position).0);
            match constraint.key() {
                Some((key, index)) => {
                    for column in &key.columns {
                        add(CONSTRAINT, named, CLASS, own, column + 1, "a");
                    }
                    if let Some(index) = catalog.item(index) {
                        add(CLASS, i64::from(index.oid.0), CONSTRAINT, named, 0, "i");
                    }
                }
                None => add(CONSTRAINT, named, CLASS, own, 0, "a"),
            }
        }
    }
    if let Definition::Index(index) = &item.definition
        && index.unique.is_none()
        && let Some(on) = catalog.item(index.on)
    {
        add(CLASS, own, CLASS, i64::from(on.oid.0), 0, "a");
    }
}

fn sequences(_: &Catalog, item: &Item, rows: &mut Vec<Row>) {
    let Some(sequence) = item.sequence() else { return };
    let typ = match sequence.data_type.as_str() {
        "smallint" => ScalarType::Int2,
        "integer" => ScalarType::Int4,
        _ => ScalarType::Int8,
    };
    rows.push(Row::pack([
        Datum::Int(i64::from(item.oid.0)),
        Datum::Int(i64::from(typ.oid().0)),
        Datum::Int(sequence.start),
        Datum::Int(sequence.increment),
        Datum::Int(sequence.max),
        Datum::Int(sequence.min),
        Datum::Int(sequence.cache),
        Datum::Bool(sequence.cycle),
    ]));
}
