//! Which expressions are comparisons, and when SQL's equality is equality of bytes.

use std::collections::HashMap;
use std::sync::LazyLock;

use tidemill_expr::{FunctionRef, ScalarExpr, resolve};
use tidemill_repr::{ColumnType, Datum, ScalarType};

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Comparison {
    /// The one with its sides changed.
    #[must_use]
    pub fn flipped(self) -> Comparison {
        match self {
            Comparison::Equal => Comparison::Equal,
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        }
    }
}

static COMPARISONS: LazyLock<HashMap<&'static str, Comparison>> = LazyLock::new(|| {
    let names = [
        ("=", Comparison::Equal),
        ("<", Comparison::Less),
        ("<=", Comparison::LessOrEqual),
        (">", Comparison::Greater),
        (">=", Comparison::GreaterOrEqual),
    ];
    let mut comparisons = HashMap::new();
    for (name, comparison) in names {
        for operator in tidemill_expr::functions::operators_by_name(name) {
            comparisons.insert(operator.function, comparison);
        }
    }
    comparisons
});

/// Whether a function is what `=` means for some types.
pub fn is_equality(function: FunctionRef) -> bool {
    COMPARISONS.get(function.id) == Some(&Comparison::Equal)
}

/// The two sides of a comparison, if an expression is one.
pub fn as_comparison(expr: &ScalarExpr) -> Option<(Comparison, &ScalarExpr, &ScalarExpr)> {
    match expr {
        ScalarExpr::Call { function, arguments, .. } => match arguments.as_slice() {
            [left, right] => Some((*COMPARISONS.get(function.id)?, left, right)),
            _ => None,
        },
        _ => None,
    }
}

/// How values of two types are brought to equal bytes where SQL calls them equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// They are already.
    Plain,
    /// Their canonical forms are.
    Canonical,
}

/// The group of types whose values are written alike.
fn family(typ: &ScalarType) -> ScalarType {
    match typ {
        ScalarType::Int2 | ScalarType::Int4 | ScalarType::Oid => ScalarType::Int8,
        reg if reg.is_reg() => ScalarType::Int8,
        ScalarType::UInt2 => ScalarType::UInt4,
        ScalarType::Cidr => ScalarType::Inet,
        ScalarType::Bit => ScalarType::Varbit,
        ScalarType::Domain(_) => family(typ.base()),
        ScalarType::Varchar | ScalarType::Name | ScalarType::InternalChar => ScalarType::Text,
        ScalarType::Array(element) => ScalarType::Array(Box::new(family(element))),
        ScalarType::Record(fields) => ScalarType::Record(fields.iter().map(family).collect()),
        other => other.clone(),
    }
}

/// How values of two types compare by bytes; None if they do not.
pub fn comparable_bytes(left: &ColumnType, right: &ColumnType) -> Option<Bytes> {
    if family(&left.scalar_type) != family(&right.scalar_type) {
        return None;
    }
    let numeric_scale = |typ: &ColumnType| typ.numeric_precision_scale().map(|(_, scale)| scale);
    match (numeric_scale(left), numeric_scale(right)) {
        (Some(a), Some(b)) if a == b => Some(Bytes::Plain),
        _ if left.scalar_type.has_equal_representations() => Some(Bytes::Canonical),
        _ => Some(Bytes::Plain),
    }
}

/// Whether equal values of a column may have different bytes.
pub fn needs_canonical(typ: &ColumnType) -> bool {
    comparable_bytes(typ, typ) == Some(Bytes::Canonical)
}

/// The canonical form of an expression of this type.
pub fn canonical(expr: ScalarExpr, typ: &ColumnType) -> ScalarExpr {
    match FunctionRef::by_id("canonical") {
        Some(function) if needs_canonical(typ) => {
            let arguments = vec![expr];
            ScalarExpr::Call { function, arguments, typ: typ.clone() }
        }
        _ => expr,
    }
}

/// `left = right` as a predicate, for values whose bytes compare.
pub fn equality(left: ScalarExpr, right: ScalarExpr, columns: &[ColumnType]) -> Option<ScalarExpr> {
    let (left_type, right_type) = (left.typ(columns), right.typ(columns));
    let attempts = [
        (left_type.scalar_type.clone(), right_type.scalar_type.clone()),
        (left_type.scalar_type.clone(), left_type.scalar_type.clone()),
        (family(&left_type.scalar_type), family(&left_type.scalar_type)),
    ];
    let function = attempts.iter().find_map(|(left, right)| {
        let found = resolve::operator("=", Some(left), right).ok()?;
        let same = |typ: &ScalarType, of: &ScalarType| family(typ) == family(of);
        match found.arguments.as_slice() {
            [a, b] if same(a, left) && same(b, right) => Some(found.definition),
            _ => None,
        }
    })?;
    let nullable = left_type.nullable || right_type.nullable;
    let typ = ColumnType::new(ScalarType::Bool).nullable(nullable);
    Some(ScalarExpr::Call { function, arguments: vec![left, right], typ })
}

/// An expression whose bytes are equal where those of `expr` are, NULL included, and that is
/// never NULL itself: for joins that must also pair NULLs.
pub fn never_null(expr: ScalarExpr, typ: &ColumnType) -> ScalarExpr {
    if !typ.nullable {
        return expr;
    }
    // A value of another kind than the column's stands for NULL.
    let marker = match typ.scalar_type {
        ScalarType::Bool => Datum::Int(0),
        _ => Datum::Bool(false),
    };
    let row = tidemill_repr::Row::pack([marker]);
    let marker = ScalarExpr::Literal(Ok(row), typ.clone().nullable(false));
    ScalarExpr::Coalesce(vec![expr, marker])
}

/// The equivalence that pairs a column of one relation with one of another, NULLs included.
/// (Where one of them has no NULL, NULLs cannot pair.)
pub fn pair(
    (left, left_type): (ScalarExpr, &ColumnType),
    (right, right_type): (ScalarExpr, &ColumnType),
) -> Vec<ScalarExpr> {
    if left_type.nullable && right_type.nullable {
        vec![never_null(left, left_type), never_null(right, left_type)]
    } else {
        vec![left, right]
    }
}
