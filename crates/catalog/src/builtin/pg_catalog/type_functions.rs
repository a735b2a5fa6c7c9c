//! The functions of a type that read and write its values: their names and oids are
//! PostgreSQL's. They are in `pg_proc` for those who look a type up, and cannot be called.

use std::collections::HashMap;
use std::sync::LazyLock;

use tidemill_repr::ScalarType;

use super::super::fill::Value;

/// The columns of `pg_type` in the order of `type_functions.txt`.
const COLUMNS: [&str; 8] = [
    "typinput",
    "typoutput",
    "typreceive",
    "typsend",
    "typmodin",
    "typmodout",
    "typanalyze",
    "typsubscript",
];

/// A function of types.
pub(super) struct TypeFunction {
    pub name: &'static str,
    pub oid: i64,
    pub returns: i64,
    pub arguments: Vec<i64>,
}

/// All of them: a line `name oid result arguments` each.
pub(super) fn all() -> impl Iterator<Item = TypeFunction> {
    include_str!("type_procedures.txt").lines().filter_map(|line| {
        let mut words = line.split(' ');
        let name = words.next()?;
        let oid = words.next()?.parse().ok()?;
        let returns = words.next()?.parse().ok()?;
        let arguments = words.next().unwrap_or_default();
        let arguments = arguments.split(',').filter_map(|oid| oid.parse().ok()).collect();
        Some(TypeFunction { name, oid, returns, arguments })
    })
}

/// The oids by the name of the type; arrays that have no line have that of `_int4`.
static BY_TYPE: LazyLock<HashMap<&str, Vec<i64>>> = LazyLock::new(|| {
    include_str!("type_functions.txt")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, oids)| (name, oids.split(' ').filter_map(|oid| oid.parse().ok()).collect()))
        .collect()
});

/// The columns of `pg_type` that name functions.
pub(super) fn columns(typ: &ScalarType) -> Vec<(&'static str, Value<'static>)> {
    let pg_name = typ.pg_name();
    let name = match typ {
        ScalarType::Enum(_) => return with(&[3506, 3507, 3532, 3533, 0, 0, 0, 0]),
        ScalarType::Domain(domain) => {
            let base = columns(&domain.base.scalar_type);
            let mut own = with(&[2597, 0, 2598, 0, 0, 0, 0, 0]);
            for (column, value) in base {
                if matches!(column, "typoutput" | "typsend") {
                    own.push((column, value));
                }
            }
            return own;
        }
        ScalarType::Composite(_) | ScalarType::Record(_) => "record",
        ScalarType::Array(_) if !BY_TYPE.contains_key(pg_name.as_str()) => "_int4",
        _ => pg_name.as_str(),
    };
    BY_TYPE.get(name).map_or_else(Vec::new, |oids| with(oids))
}

fn with(oids: &[i64]) -> Vec<(&'static str, Value<'static>)> {
    let known = COLUMNS.into_iter().zip(oids).filter(|(_, oid)| **oid != 0);
    known.map(|(column, oid)| (column, Value::Int(*oid))).collect()
}
