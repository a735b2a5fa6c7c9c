//! Which function, operator or cast is meant: PostgreSQL's rules of overload resolution
//! (chapter 10 of its manual).
//!
//! Given a name and argument types, where [`ScalarType::Unknown`] is an untyped literal or
//! parameter: the chosen definition and the types its arguments must be coerced to.

mod casts;
mod choice;

use tidemill_repr::{ScalarType, SqlError, SqlState};

pub use casts::{
    CastPath, TEXT_TO_TYPED, TYPED_TO_TEXT, can_coerce, cast, common_type, type_argument,
    typmod_cast,
};

use crate::function::{Function, FunctionRef, Operator, TypePattern};
use crate::functions;
use crate::functions::aggregates::AggregateDefinition;
use crate::resolve::choice::{Candidate, Choice, Signature};
use crate::table_function::TableFunctionRef;

/// What a pattern stands for in a call, after `AnyElement` was found; None if there is no such
/// type.
pub fn concrete(
    pattern: &TypePattern,
    given: &ScalarType,
    element: &ScalarType,
) -> Option<ScalarType> {
    choice::concrete(pattern, given, element)
}

/// What `AnyElement` is where an argument of this pattern is of this type; None if that does not
/// tell.
pub fn element_of(pattern: &TypePattern, typ: &ScalarType) -> Option<ScalarType> {
    choice::element_of(pattern, typ)
}

/// A choice: the definition, the concrete types its arguments must be coerced to, and the
/// concrete type of its result.
#[derive(Clone, Debug)]
pub struct Resolved<F> {
    /// The definition.
    pub definition: F,
    /// To what each argument is coerced.
    pub arguments: Vec<ScalarType>,
    /// What it gives.
    pub returns: ScalarType,
}

/// Finds a scalar function by name.
///
/// # Errors
/// None fits (`42883`), or several do (`42725`).
pub fn function(name: &str, arguments: &[ScalarType]) -> Result<Resolved<FunctionRef>, SqlError> {
    let candidates: Vec<&'static Function> = functions::by_name(name).collect();
    let signatures = candidates.iter().map(|function| Signature {
        arguments: function.arguments,
        variadic: function.variadic,
        returns: &function.returns,
    });
    let (at, chosen) = choose_function(name, arguments, signatures)?;
    let mut returns = chosen.returns;
    if candidates[at].id == "record_build" {
        returns = ScalarType::Record(chosen.arguments.clone());
    }
    // A list of records of a key and a value.
    if let ("map_build", [ScalarType::List(element)]) =
        (candidates[at].id, chosen.arguments.as_slice())
        && let ScalarType::Record(fields) = &**element
        && let [_, value] = fields.as_slice()
    {
        returns = ScalarType::Map(Box::new(value.clone()));
    }
    Ok(Resolved { definition: FunctionRef(candidates[at]), arguments: chosen.arguments, returns })
}

/// Finds a table function by name; None if there is none of that name.
///
/// # Errors
/// None of that name fits, or several do.
pub fn table_function(
    name: &str,
    arguments: &[ScalarType],
) -> Option<Result<Resolved<TableFunctionRef>, SqlError>> {
    let candidates: Vec<_> =
        functions::all_tables().filter(|function| function.name == name).collect();
    if candidates.is_empty() {
        return None;
    }
    let signatures = candidates.iter().map(|function| Signature {
        arguments: function.arguments,
        variadic: false,
        returns: &function.columns[0].1,
    });
    Some(choose_function(name, arguments, signatures).map(|(at, chosen)| Resolved {
        definition: TableFunctionRef(candidates[at]),
        arguments: chosen.arguments,
        returns: chosen.returns,
    }))
}

/// Finds an aggregate by name; None if there is none of that name. `count(*)` is `count` of no
/// arguments.
///
/// # Errors
/// None of that name fits, or several do.
pub fn aggregate(
    name: &str,
    arguments: &[ScalarType],
) -> Option<Result<Resolved<&'static AggregateDefinition>, SqlError>> {
    let candidates: Vec<_> =
        functions::aggregates::all().filter(|aggregate| aggregate.name == name).collect();
    if candidates.is_empty() {
        return None;
    }
    let signatures = candidates.iter().map(|aggregate| Signature {
        arguments: &aggregate.arguments,
        variadic: false,
        returns: &aggregate.returns,
    });
    Some(choose_function(name, arguments, signatures).map(|(at, chosen)| Resolved {
        definition: candidates[at],
        arguments: chosen.arguments,
        returns: chosen.returns,
    }))
}

/// Finds an operator; `left` is None for a prefix operator.
///
/// # Errors
/// None fits (`42883`), or several do (`42725`).
pub fn operator(
    name: &str,
    left: Option<&ScalarType>,
    right: &ScalarType,
) -> Result<Resolved<FunctionRef>, SqlError> {
    // PostgreSQL knows `!=` only as another spelling.
    let name = if name == "!=" { "<>" } else { name };
    let given: Vec<ScalarType> =
        left.into_iter().chain([right]).map(|typ| typ.base().clone()).collect();
    let candidates: Vec<&'static Operator> = functions::operators_by_name(name)
        .filter(|operator| operator.left.is_some() == left.is_some())
        .filter(|operator| !is_of_ticks(operator) || given.contains(&ScalarType::MzTimestamp))
        .collect();
    let candidate = |at: usize| {
        let operator = candidates[at];
        let function = functions::by_id(operator.function)?;
        let patterns: Vec<_> = operator.left.iter().chain([&operator.right]).cloned().collect();
        Candidate::new(at, patterns, &function.returns, &given)
    };
    // An untyped side is first taken to be of the other side's type.
    let assumed: Vec<ScalarType> = match given.as_slice() {
        [ScalarType::Unknown, known] | [known, ScalarType::Unknown] => {
            vec![known.clone(), known.clone()]
        }
        _ => given.clone(),
    };
    // The usual case, without a look at all that could be coerced to.
    let exact = candidates.iter().position(|operator| {
        let patterns = operator.left.iter().chain([&operator.right]);
        patterns
            .zip(&assumed)
            .all(|(pattern, typ)| matches!(pattern, TypePattern::Is(wanted) if wanted == typ))
    });
    let choice = match exact.and_then(candidate) {
        Some(chosen) => Choice::One(chosen),
        None => {
            let viable = (0..candidates.len()).filter_map(candidate).collect();
            choice::choose(viable, &given, &assumed)
        }
    };
    match choice {
        Choice::One(chosen) => {
            let function = functions::by_id(candidates[chosen.at].function)
                .ok_or_else(|| no_operator(name, left, right))?;
            Ok(Resolved {
                definition: FunctionRef(function),
                arguments: chosen.arguments,
                returns: chosen.returns,
            })
        }
        Choice::None => Err(no_operator(name, left, right)),
        Choice::Several => Err(SqlError::new(
            SqlState::AMBIGUOUS_FUNCTION,
            format!("operator is not unique: {}", operator_text(name, left, right)),
        )
        .with_hint(
            "Could not choose a best candidate operator. You might need to add explicit type casts.",
        )),
    }
}

/// Whether it compares ticks. What could become one, as a date or a number can, does so only
/// beside one: else `date = integer` would have a meaning that PostgreSQL does not give it.
fn is_of_ticks(operator: &Operator) -> bool {
    let ticks = |pattern: &TypePattern| *pattern == TypePattern::Is(ScalarType::MzTimestamp);
    operator.left.as_ref().is_some_and(ticks) || ticks(&operator.right)
}

fn operator_text(name: &str, left: Option<&ScalarType>, right: &ScalarType) -> String {
    match left {
        Some(left) => format!("{left} {name} {right}"),
        None => format!("{name} {right}"),
    }
}

fn no_operator(name: &str, left: Option<&ScalarType>, right: &ScalarType) -> SqlError {
    let hint = if left.is_some() {
        "No operator matches the given name and argument types. You might need to add explicit \
         type casts."
    } else {
        "No operator matches the given name and argument type. You might need to add an explicit \
         type cast."
    };
    SqlError::new(
        SqlState::UNDEFINED_FUNCTION,
        format!("operator does not exist: {}", operator_text(name, left, right)),
    )
    .with_hint(hint)
}

/// Picks one of several functions: its place among them, and to what its arguments are coerced.
/// Each comes with what it takes of the types that are given, in their order.
///
/// # Errors
/// None fits (`42883`), or several do (`42725`).
pub fn overload(
    written: &str,
    given: &[ScalarType],
    overloads: &[(usize, Vec<TypePattern>)],
) -> Result<(usize, Vec<ScalarType>), SqlError> {
    let bases: Vec<ScalarType> = given.iter().map(|typ| typ.base().clone()).collect();
    let returns = TypePattern::Is(ScalarType::Bool);
    let viable = overloads
        .iter()
        .filter_map(|(at, patterns)| Candidate::new(*at, patterns.clone(), &returns, &bases))
        .collect();
    match choice::choose(viable, &bases, &bases) {
        Choice::One(chosen) => Ok((chosen.at, chosen.arguments)),
        Choice::None => Err(no_function(written)),
        Choice::Several => Err(several_functions(written)),
    }
}

fn no_function(written: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {written} does not exist"))
        .with_hint(
            "No function matches the given name and argument types. You might need to add \
             explicit type casts.",
        )
}

fn several_functions(written: &str) -> SqlError {
    SqlError::new(SqlState::AMBIGUOUS_FUNCTION, format!("function {written} is not unique"))
        .with_hint(
            "Could not choose a best candidate function. You might need to add explicit type \
             casts.",
        )
}

/// Picks one of the functions of a name: its place among them, and the types.
fn choose_function<'s>(
    name: &str,
    given: &[ScalarType],
    signatures: impl Iterator<Item = Signature<'s>>,
) -> Result<(usize, Candidate), SqlError> {
    // A value of a domain is one of the type under it.
    let bases: Vec<ScalarType> = given.iter().map(|typ| typ.base().clone()).collect();
    let viable = signatures
        .enumerate()
        .filter_map(|(at, signature)| {
            let patterns = signature.expand(bases.len())?;
            Candidate::new(at, patterns, signature.returns, &bases)
        })
        .collect();
    let written = || {
        let types: Vec<String> = given.iter().map(ToString::to_string).collect();
        format!("{name}({})", types.join(", "))
    };
    match choice::choose(viable, &bases, &bases) {
        Choice::One(chosen) => Ok((chosen.at, chosen)),
        Choice::None => Err(no_function(&written())),
        Choice::Several => Err(several_functions(&written())),
    }
}
