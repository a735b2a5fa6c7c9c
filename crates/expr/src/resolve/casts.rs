//! Which casts there are, and the common type of several.

use std::collections::HashMap;
use std::sync::LazyLock;

use tidemill_repr::types::TypeCategory;
use tidemill_repr::{ScalarType, SqlError, SqlState};

use crate::function::{Cast, CastContext, FunctionRef};
use crate::functions;

/// How a value of one type becomes one of another.
#[derive(Clone, Debug)]
pub enum CastPath {
    /// The datum is the same.
    Relabel,
    /// A function of one argument does it (and the time zone, if it needs it).
    Function(FunctionRef),
    /// By way of text: the type's output, then the other's input.
    ThroughText,
}

type CastTable = HashMap<(ScalarType, ScalarType), &'static Cast>;

static CASTS: LazyLock<CastTable> = LazyLock::new(|| {
    functions::all_casts().map(|cast| ((cast.from.clone(), cast.to.clone()), cast)).collect()
});

/// Finds a cast allowed in a context; None if there is none.
///
/// A domain is what the type under it is; its rules are checked by the planner.
pub fn cast(from: &ScalarType, to: &ScalarType, context: CastContext) -> Option<CastPath> {
    let (from, to) = (from.base(), to.base());
    if from == to {
        return Some(CastPath::Relabel);
    }
    if *from == ScalarType::Unknown {
        return from_text(to);
    }
    if let Some(cast) = CASTS.get(&(from.clone(), to.clone())) {
        if cast.context > context {
            return None;
        }
        return Some(match cast.function.and_then(FunctionRef::by_id) {
            Some(function) => CastPath::Function(function),
            None => CastPath::Relabel,
        });
    }
    match (from, to) {
        (from, to) if same_values(from, to) => Some(CastPath::Relabel),
        (ScalarType::Array(inner), ScalarType::Array(outer))
        | (ScalarType::List(inner), ScalarType::List(outer))
        | (ScalarType::Map(inner), ScalarType::Map(outer)) => {
            Some(match cast(inner, outer, context)? {
                CastPath::Relabel => CastPath::Relabel,
                _ => CastPath::ThroughText,
            })
        }
        (ScalarType::Record(left), ScalarType::Record(right)) => {
            let fields = left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| {
                    matches!(cast(left, right, context), Some(CastPath::Relabel))
                });
            fields.then_some(CastPath::Relabel)
        }
        // The other way round is made field by field.
        (ScalarType::Composite(definition), ScalarType::Record(right)) => {
            (right.is_empty() || definition.field_types() == *right).then_some(CastPath::Relabel)
        }
        _ => through_text(from, to, context),
    }
}

/// Vectors are arrays.
fn same_values(from: &ScalarType, to: &ScalarType) -> bool {
    let ScalarType::Array(element) = to else { return false };
    match from {
        ScalarType::Int2Vector => **element == ScalarType::Int2,
        ScalarType::OidVector => **element == ScalarType::Oid || element.is_reg(),
        _ => false,
    }
}

/// The casts that exist because every type has a text form: to text on assignment, from text
/// when written.
fn through_text(from: &ScalarType, to: &ScalarType, context: CastContext) -> Option<CastPath> {
    let is_text = |typ: &ScalarType| typ.category() == TypeCategory::String;
    if is_text(to) && context >= CastContext::Assignment {
        return match to {
            ScalarType::Name => Some(CastPath::ThroughText),
            _ => FunctionRef::by_id(&to_text_id(from)).map(CastPath::Function),
        };
    }
    if is_text(from) && context >= CastContext::Explicit {
        return from_text(to);
    }
    None
}

fn from_text(to: &ScalarType) -> Option<CastPath> {
    match to {
        ScalarType::Text | ScalarType::Varchar | ScalarType::Bpchar | ScalarType::Unknown => {
            Some(CastPath::Relabel)
        }
        _ => FunctionRef::by_id(&from_text_id(to)).map(CastPath::Function),
    }
}

/// The id of the function that gives a type's text.
pub fn to_text_id(typ: &ScalarType) -> String {
    match typ {
        typ if is_made(typ) => TYPED_TO_TEXT.to_owned(),
        _ => format!("{}_to_text", typ.pg_name()),
    }
}

/// The id of the function that reads a type from text.
pub fn from_text_id(typ: &ScalarType) -> String {
    if is_made(typ) { TEXT_TO_TYPED.to_owned() } else { format!("text_to_{}", typ.pg_name()) }
}

/// The function that reads a type from text, whichever; the type is one more argument, as
/// [`type_argument`] writes it.
pub const TEXT_TO_TYPED: &str = "text_to_typed";
/// The function that gives the text of a value of any type; the type is one more argument.
pub const TYPED_TO_TEXT: &str = "typed_to_text";

/// Whether a type is made of others, so that there are too many for a function each.
fn is_made(typ: &ScalarType) -> bool {
    match typ {
        ScalarType::Array(element) => is_made(element),
        ScalarType::Record(_)
        | ScalarType::List(_)
        | ScalarType::Map(_)
        | ScalarType::Enum(_)
        | ScalarType::Domain(_)
        | ScalarType::Composite(_) => true,
        _ => false,
    }
}

/// A type as an argument of [`TEXT_TO_TYPED`] and [`TYPED_TO_TEXT`].
pub fn type_argument(typ: &ScalarType) -> String {
    serde_json::to_string(typ).unwrap_or_default()
}

/// Whether a value is coerced without being asked for.
pub fn can_coerce(from: &ScalarType, to: &ScalarType) -> bool {
    let (from, to) = (from.base(), to.base());
    if from == to || *from == ScalarType::Unknown {
        return true;
    }
    match (from, to) {
        (from, to) if same_values(from, to) => true,
        (ScalarType::Array(inner), ScalarType::Array(outer))
        | (ScalarType::List(inner), ScalarType::List(outer))
        | (ScalarType::Map(inner), ScalarType::Map(outer)) => can_coerce(inner, outer),
        (ScalarType::Record(left), ScalarType::Record(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| can_coerce(left, right))
        }
        (ScalarType::Composite(definition), ScalarType::Record(right)) => {
            right.is_empty() || definition.field_types() == *right
        }
        _ => CASTS
            .get(&(from.clone(), to.clone()))
            .is_some_and(|cast| cast.context == CastContext::Implicit),
    }
}

/// The common type of the branches of CASE, UNION, VALUES, COALESCE, GREATEST; an error names
/// `construct`.
///
/// # Errors
/// The types have no common type (`42804`).
pub fn common_type(construct: &str, types: &[ScalarType]) -> Result<ScalarType, SqlError> {
    let mut known = types.iter().filter(|typ| **typ != ScalarType::Unknown);
    if let Some(first) = known.next()
        && known.all(|typ| typ == first)
    {
        return Ok(first.clone());
    }
    let mut chosen = ScalarType::Unknown;
    for typ in types {
        let typ = typ.base();
        if *typ == ScalarType::Unknown || *typ == chosen {
            continue;
        }
        if chosen == ScalarType::Unknown {
            chosen = typ.clone();
        } else if typ.category() != chosen.category() {
            return Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                format!("{construct} types {chosen} and {typ} cannot be matched"),
            ));
        } else if !chosen.is_preferred() && can_coerce(&chosen, typ) && !can_coerce(typ, &chosen) {
            chosen = typ.clone();
        }
    }
    if chosen == ScalarType::Unknown {
        return Ok(ScalarType::Text);
    }
    if let Some(typ) = types.iter().find(|typ| !can_coerce(typ, &chosen)) {
        return Err(SqlError::new(
            SqlState::CANNOT_COERCE,
            format!("{construct} could not convert type {typ} to {chosen}"),
        ));
    }
    Ok(chosen)
}

/// The function that applies a type's modifier to a value of it: `(value, int4 typmod)`, and for
/// `varchar`, `char`, `bit` and `varbit` a third argument that tells whether the cast was written.
pub fn typmod_cast(typ: &ScalarType) -> Option<FunctionRef> {
    let id = match typ {
        ScalarType::Varchar => "varchar_typmod",
        ScalarType::Bpchar => "bpchar_typmod",
        ScalarType::Numeric => "numeric_typmod",
        ScalarType::Time => "time_typmod",
        ScalarType::Timestamp => "timestamp_typmod",
        ScalarType::TimestampTz => "timestamptz_typmod",
        ScalarType::Interval => "interval_typmod",
        ScalarType::TimeTz => "timetz_typmod",
        ScalarType::Bit => "bit_typmod",
        ScalarType::Varbit => "varbit_typmod",
        _ => return None,
    };
    FunctionRef::by_id(id)
}
