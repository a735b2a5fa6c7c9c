//! What a function is: one definition that planning, evaluation, `pg_proc` and the
//! documentation share.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidemill_repr::{Datum, ScalarType};

use crate::error::EvalError;
use crate::scalar::EvalContext;

/// Whether a function gives the same for the same arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Volatility {
    /// Always the same.
    Immutable,
    /// The same within one statement.
    Stable,
    /// May differ from call to call; not allowed in what is maintained.
    Volatile,
}

/// What an argument or a result may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypePattern {
    /// Exactly this type.
    Is(ScalarType),
    /// An array of exactly this type.
    ArrayOf(ScalarType),
    /// Any type (`"any"`); each such argument on its own.
    Any,
    /// Any type but an array; each such argument on its own.
    AnyNonArray,
    /// Any type, the same for all `AnyElement` of a call.
    AnyElement,
    /// An array whose element type is that of `AnyElement`.
    AnyArray,
    /// A range whose bounds are of the type of `AnyElement`.
    AnyRange,
    /// An enum, the same for all `AnyEnum` and `AnyElement` of a call.
    AnyEnum,
    /// A multirange whose bounds are of the type of `AnyElement`.
    AnyMultirange,
    /// A list whose element type is that of `AnyElement`.
    AnyList,
    /// A map whose value type is that of `AnyElement`.
    AnyMap,
}

/// The code of a function: arguments in order to a value, in the context's arena where it needs
/// memory. Of a strict function it is never called with NULL.
pub type Eval = for<'a> fn(&[Datum<'a>], EvalContext<'a>) -> Result<Datum<'a>, EvalError>;

/// A scalar function. Operators and casts are functions too, found by other tables.
pub struct Function {
    /// Unique over all functions, and stable: `int4pl`, `text_lower`. PostgreSQL's `prosrc`
    /// where it has one.
    pub id: &'static str,
    /// The SQL name; several functions may share it.
    pub name: &'static str,
    /// Types of the arguments.
    pub arguments: &'static [TypePattern],
    /// Whether the last argument may occur once or more.
    pub variadic: bool,
    /// Type of the result.
    pub returns: TypePattern,
    /// Whether NULL in any argument makes the result NULL without a call.
    pub strict: bool,
    /// See [`Volatility`].
    pub volatility: Volatility,
    /// Whether a call may end in an error. False is sure.
    pub could_error: bool,
    /// Whether the session's time zone is given as one more text argument, last, which the
    /// patterns leave out; of casts from and to text it is all settings of texts.
    pub needs_time_zone: bool,
    /// Whether the types of the arguments are given as one more text argument, before the time
    /// zone, which the patterns leave out too.
    pub needs_types: bool,
    /// The code.
    pub eval: Eval,
    /// One sentence for the documentation.
    pub doc: &'static str,
}

/// A function by reference; it is written and compared as its id.
#[derive(Clone, Copy)]
pub struct FunctionRef(pub &'static Function);

impl FunctionRef {
    /// The function with this id.
    pub fn by_id(id: &str) -> Option<FunctionRef> {
        crate::functions::by_id(id).map(FunctionRef)
    }
}

impl FunctionRef {
    /// Whether it reads or shows values of a type.
    pub fn is_text_form(self) -> bool {
        self.0.id.starts_with("text_to_") || self.0.id.ends_with("_to_text")
    }
}

impl std::ops::Deref for FunctionRef {
    type Target = Function;

    fn deref(&self) -> &Function {
        self.0
    }
}

impl fmt::Debug for FunctionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.id)
    }
}

impl PartialEq for FunctionRef {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for FunctionRef {}

impl PartialOrd for FunctionRef {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FunctionRef {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.id.cmp(other.0.id)
    }
}

impl std::hash::Hash for FunctionRef {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl Serialize for FunctionRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.id)
    }
}

impl<'de> Deserialize<'de> for FunctionRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        FunctionRef::by_id(&id)
            .ok_or_else(|| serde::de::Error::custom(format!("no function has the id {id}")))
    }
}

/// When a cast may be applied without being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CastContext {
    /// Anywhere.
    Implicit,
    /// On assignment to a column.
    Assignment,
    /// Only when written.
    Explicit,
}

/// One way from a type to another (`pg_cast`).
pub struct Cast {
    /// From this type.
    pub from: ScalarType,
    /// To this type.
    pub to: ScalarType,
    /// When.
    pub context: CastContext,
    /// The id of the function that does it, of one argument; None where the datum is the same.
    pub function: Option<&'static str>,
}

/// An operator: a name and argument types that lead to a function (`pg_operator`).
pub struct Operator {
    /// Such as `+` or `~~`.
    pub name: &'static str,
    /// Left argument; None for a prefix operator.
    pub left: Option<TypePattern>,
    /// Right argument.
    pub right: TypePattern,
    /// The id of the function.
    pub function: &'static str,
}
