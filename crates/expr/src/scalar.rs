//! Scalar expressions over the columns of one row.
//!
//! [`ScalarExpr::eval`] walks the tree. The branches that SQL promises not to take (the rest of
//! COALESCE, the other side of CASE) are not taken; AND and OR take all of theirs until one
//! decides, so that an error never hides an answer that is known.

use bumpalo::Bump;
use indexmap::IndexSet;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use tidemill_repr::{ColumnType, Datum, Row, RowBuilder, ScalarType};

use crate::error::EvalError;
use crate::function::{FunctionRef, Volatility};

/// Where evaluation puts what it makes.
#[derive(Clone, Copy, Debug)]
pub struct EvalContext<'a> {
    /// Texts and other values that are computed live here.
    pub arena: &'a Bump,
}

impl<'a> EvalContext<'a> {
    /// Copies a text into the arena.
    pub fn text(&self, text: &str) -> Datum<'a> {
        Datum::Text(self.arena.alloc_str(text))
    }

    /// Copies bytes into the arena.
    pub fn bytes(&self, bytes: &[u8]) -> Datum<'a> {
        Datum::Bytes(self.arena.alloc_slice_copy(bytes))
    }

    /// Moves what a builder holds (one datum, encoded) into the arena and decodes it there.
    pub fn built(&self, builder: &RowBuilder) -> Datum<'a> {
        let bytes: &'a [u8] = self.arena.alloc_slice_copy(builder.bytes());
        tidemill_repr::RowRef::from_bytes(bytes).iter().next().unwrap_or(Datum::Null)
    }
}

/// A scalar expression. Its columns are positions in the row it is evaluated over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ScalarExpr {
    /// The value at this position of the row.
    Column(usize),
    /// A constant: a row of one datum, or an error that is raised when it is evaluated.
    Literal(Result<Row, EvalError>, ColumnType),
    /// A function applied to arguments, with the type of the result.
    Call {
        /// The function.
        function: FunctionRef,
        /// Its arguments.
        arguments: Vec<ScalarExpr>,
        /// The type of the result.
        typ: ColumnType,
    },
    /// False if any is false, else NULL if any is NULL, else true. An error gives way to false.
    And(Vec<ScalarExpr>),
    /// True if any is true, else NULL if any is NULL, else false. An error gives way to true.
    Or(Vec<ScalarExpr>),
    /// Three-valued negation.
    Not(Box<ScalarExpr>),
    /// Whether the argument is NULL; never NULL itself.
    IsNull(Box<ScalarExpr>),
    /// The first argument that is not NULL; later ones are not evaluated.
    Coalesce(Vec<ScalarExpr>),
    /// The second if the first is true, else the third; the other one is not evaluated.
    If(Box<ScalarExpr>, Box<ScalarExpr>, Box<ScalarExpr>),
}

impl ScalarExpr {
    /// The value over a row's datums.
    ///
    /// # Errors
    /// The expression has no value for this row.
    pub fn eval<'a>(
        &'a self,
        datums: &[Datum<'a>],
        context: EvalContext<'a>,
    ) -> Result<Datum<'a>, EvalError> {
        match self {
            ScalarExpr::Column(column) => Ok(datums.get(*column).copied().unwrap_or(Datum::Null)),
            ScalarExpr::Literal(Ok(row), _) => Ok(row.iter().next().unwrap_or(Datum::Null)),
            ScalarExpr::Literal(Err(error), _) => Err(error.clone()),
            ScalarExpr::Call { function, arguments, .. } => {
                eval_call(*function, arguments, datums, context)
            }
            ScalarExpr::And(arguments) => eval_connective(arguments, false, datums, context),
            ScalarExpr::Or(arguments) => eval_connective(arguments, true, datums, context),
            ScalarExpr::Not(argument) => Ok(match argument.eval(datums, context)? {
                Datum::Bool(value) => Datum::Bool(!value),
                _ => Datum::Null,
            }),
            ScalarExpr::IsNull(argument) => {
                Ok(Datum::Bool(argument.eval(datums, context)?.is_null()))
            }
            ScalarExpr::Coalesce(arguments) => {
                for argument in arguments {
                    let datum = argument.eval(datums, context)?;
                    if !datum.is_null() {
                        return Ok(datum);
                    }
                }
                Ok(Datum::Null)
            }
            ScalarExpr::If(condition, then, otherwise) => {
                if matches!(condition.eval(datums, context)?, Datum::Bool(true)) {
                    then.eval(datums, context)
                } else {
                    otherwise.eval(datums, context)
                }
            }
        }
    }

    /// The value of an expression without columns, as an owned row of one datum.
    ///
    /// # Errors
    /// The expression has no value.
    pub fn eval_constant(&self) -> Result<Row, EvalError> {
        let arena = Bump::new();
        let datum = self.eval(&[], EvalContext { arena: &arena })?;
        Ok(Row::pack([datum]))
    }

    /// A column.
    pub fn column(column: usize) -> ScalarExpr {
        ScalarExpr::Column(column)
    }

    /// A constant of a type.
    pub fn literal(datum: Datum<'_>, scalar_type: ScalarType) -> ScalarExpr {
        let typ = ColumnType::new(scalar_type).nullable(datum.is_null());
        ScalarExpr::Literal(Ok(Row::pack([datum])), typ)
    }

    /// NULL of a type.
    pub fn null(scalar_type: ScalarType) -> ScalarExpr {
        ScalarExpr::literal(Datum::Null, scalar_type)
    }

    /// `true`
    pub fn literal_true() -> ScalarExpr {
        ScalarExpr::literal(Datum::Bool(true), ScalarType::Bool)
    }

    /// `false`
    pub fn literal_false() -> ScalarExpr {
        ScalarExpr::literal(Datum::Bool(false), ScalarType::Bool)
    }

    /// An `int8`.
    pub fn literal_int(value: i64) -> ScalarExpr {
        ScalarExpr::literal(Datum::Int(value), ScalarType::Int8)
    }

    /// A text.
    pub fn literal_text(value: &str) -> ScalarExpr {
        ScalarExpr::literal(Datum::Text(value), ScalarType::Text)
    }

    /// An error that is raised on evaluation.
    pub fn literal_error(error: EvalError, typ: ColumnType) -> ScalarExpr {
        ScalarExpr::Literal(Err(error), typ)
    }

    /// Whether this is a constant or an error.
    pub fn is_literal(&self) -> bool {
        matches!(self, ScalarExpr::Literal(..))
    }

    /// Whether this is the constant `true`.
    pub fn is_literal_true(&self) -> bool {
        matches!(self.as_literal(), Some(Ok(Datum::Bool(true))))
    }

    /// Whether this is the constant `false`.
    pub fn is_literal_false(&self) -> bool {
        matches!(self.as_literal(), Some(Ok(Datum::Bool(false))))
    }

    /// Whether this is the constant NULL.
    pub fn is_literal_null(&self) -> bool {
        matches!(self.as_literal(), Some(Ok(Datum::Null)))
    }

    /// The constant or the error, if this is one.
    pub fn as_literal(&self) -> Option<Result<Datum<'_>, &EvalError>> {
        match self {
            ScalarExpr::Literal(Ok(row), _) => Some(Ok(row.iter().next().unwrap_or(Datum::Null))),
            ScalarExpr::Literal(Err(error), _) => Some(Err(error)),
            _ => None,
        }
    }

    /// A function applied to arguments. The result may be NULL unless the function is strict and
    /// no argument may be (and it is known to give no NULL of its own, which is not told here).
    pub fn call(
        function: FunctionRef,
        arguments: Vec<ScalarExpr>,
        returns: ScalarType,
    ) -> ScalarExpr {
        ScalarExpr::Call { function, arguments, typ: ColumnType::new(returns) }
    }

    /// Negates.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "three-valued: not Rust's `!`")]
    pub fn not(self) -> ScalarExpr {
        ScalarExpr::Not(Box::new(self))
    }

    /// Whether NULL.
    #[must_use]
    pub fn is_null(self) -> ScalarExpr {
        ScalarExpr::IsNull(Box::new(self))
    }

    /// The conjunction; `true` of none.
    pub fn and(mut predicates: Vec<ScalarExpr>) -> ScalarExpr {
        match predicates.len() {
            0 => ScalarExpr::literal_true(),
            1 => predicates.remove(0),
            _ => ScalarExpr::And(predicates),
        }
    }

    /// The type over a row of these columns.
    pub fn typ(&self, columns: &[ColumnType]) -> ColumnType {
        let boolean = |arguments: &[ScalarExpr]| {
            let nullable = arguments.iter().any(|argument| argument.typ(columns).nullable);
            ColumnType::new(ScalarType::Bool).nullable(nullable)
        };
        match self {
            ScalarExpr::Column(column) => columns
                .get(*column)
                .cloned()
                .unwrap_or_else(|| ColumnType::new(ScalarType::Unknown)),
            ScalarExpr::Literal(_, typ) | ScalarExpr::Call { typ, .. } => typ.clone(),
            ScalarExpr::And(arguments) | ScalarExpr::Or(arguments) => boolean(arguments),
            ScalarExpr::Not(argument) => boolean(std::slice::from_ref(argument)),
            ScalarExpr::IsNull(_) => ColumnType::new(ScalarType::Bool).nullable(false),
            ScalarExpr::Coalesce(arguments) => {
                let types: Vec<_> =
                    arguments.iter().map(|argument| argument.typ(columns)).collect();
                let nullable = types.iter().all(|typ| typ.nullable);
                union_type(&types).nullable(nullable)
            }
            ScalarExpr::If(_, then, otherwise) => {
                union_type(&[then.typ(columns), otherwise.typ(columns)])
            }
        }
    }

    /// The direct arguments.
    pub fn children(&self) -> Vec<&ScalarExpr> {
        match self {
            ScalarExpr::Column(_) | ScalarExpr::Literal(..) => Vec::new(),
            ScalarExpr::Call { arguments, .. }
            | ScalarExpr::And(arguments)
            | ScalarExpr::Or(arguments)
            | ScalarExpr::Coalesce(arguments) => arguments.iter().collect(),
            ScalarExpr::Not(argument) | ScalarExpr::IsNull(argument) => vec![argument],
            ScalarExpr::If(condition, then, otherwise) => vec![condition, then, otherwise],
        }
    }

    /// The direct arguments, to change.
    pub fn children_mut(&mut self) -> Vec<&mut ScalarExpr> {
        match self {
            ScalarExpr::Column(_) | ScalarExpr::Literal(..) => Vec::new(),
            ScalarExpr::Call { arguments, .. }
            | ScalarExpr::And(arguments)
            | ScalarExpr::Or(arguments)
            | ScalarExpr::Coalesce(arguments) => arguments.iter_mut().collect(),
            ScalarExpr::Not(argument) | ScalarExpr::IsNull(argument) => vec![argument],
            ScalarExpr::If(condition, then, otherwise) => vec![condition, then, otherwise],
        }
    }

    /// Calls `visitor` for this and everything below, arguments first.
    pub fn visit(&self, visitor: &mut dyn FnMut(&ScalarExpr)) {
        for child in self.children() {
            child.visit(visitor);
        }
        visitor(self);
    }

    /// Calls `visitor` for this and everything below, to change it, arguments first.
    pub fn visit_mut(&mut self, visitor: &mut dyn FnMut(&mut ScalarExpr)) {
        for child in self.children_mut() {
            child.visit_mut(visitor);
        }
        visitor(self);
    }

    /// The columns that are used, each once, in order.
    pub fn support(&self) -> Vec<usize> {
        let mut columns = std::collections::BTreeSet::new();
        self.visit(&mut |expr| {
            if let ScalarExpr::Column(column) = expr {
                columns.insert(*column);
            }
        });
        columns.into_iter().collect()
    }

    /// Puts column `permutation[c]` for each column c; a column beyond it stays.
    pub fn permute(&mut self, permutation: &[usize]) {
        self.map_columns(&|column| permutation.get(column).copied().unwrap_or(column));
    }

    /// Puts column `map(c)` for each column c.
    pub fn map_columns(&mut self, map: &dyn Fn(usize) -> usize) {
        self.visit_mut(&mut |expr| {
            if let ScalarExpr::Column(column) = expr {
                *column = map(*column);
            }
        });
    }

    /// Puts `replacements[c]` for each column c; a column beyond them stays.
    pub fn substitute(&mut self, replacements: &[ScalarExpr]) {
        self.visit_mut(&mut |expr| {
            if let ScalarExpr::Column(column) = expr
                && let Some(replacement) = replacements.get(*column)
            {
                *expr = replacement.clone();
            }
        });
    }

    /// Whether evaluation may end in an error. False is sure, true is not.
    pub fn could_error(&self) -> bool {
        let own = match self {
            ScalarExpr::Literal(result, _) => result.is_err(),
            ScalarExpr::Call { function, .. } => function.could_error,
            _ => false,
        };
        own || self.children().into_iter().any(ScalarExpr::could_error)
    }

    /// The least constant of the functions in it.
    pub fn volatility(&self) -> Volatility {
        let mut volatility = Volatility::Immutable;
        self.visit(&mut |expr| {
            if let ScalarExpr::Call { function, .. } = expr {
                volatility = match (volatility, function.volatility) {
                    (Volatility::Volatile, _) | (_, Volatility::Volatile) => Volatility::Volatile,
                    (Volatility::Stable, _) | (_, Volatility::Stable) => Volatility::Stable,
                    _ => Volatility::Immutable,
                };
            }
        });
        volatility
    }

    /// Folds what is constant, and drops what cannot matter. An error of a constant becomes a
    /// literal error; calls of functions that are not immutable stay.
    pub fn reduce(&mut self) {
        self.visit_mut(&mut reduce_node);
    }
}

/// The type all branches share; a modifier only if they agree on it.
fn union_type(types: &[ColumnType]) -> ColumnType {
    let Some(first) =
        types.iter().find(|typ| typ.scalar_type != ScalarType::Unknown).or(types.first())
    else {
        return ColumnType::new(ScalarType::Unknown);
    };
    let typmod = if types.iter().all(|typ| typ.typmod == first.typmod) { first.typmod } else { -1 };
    let nullable = types.iter().any(|typ| typ.nullable);
    ColumnType { scalar_type: first.scalar_type.clone(), typmod, nullable }
}

fn eval_call<'a>(
    function: FunctionRef,
    arguments: &'a [ScalarExpr],
    datums: &[Datum<'a>],
    context: EvalContext<'a>,
) -> Result<Datum<'a>, EvalError> {
    let mut values: SmallVec<[Datum<'a>; 4]> = SmallVec::new();
    let mut any_null = false;
    for argument in arguments {
        let value = argument.eval(datums, context)?;
        any_null |= value.is_null();
        values.push(value);
    }
    if any_null && function.strict {
        return Ok(Datum::Null);
    }
    (function.eval)(&values, context)
}

/// AND (`decider` false) and OR (`decider` true).
fn eval_connective<'a>(
    arguments: &'a [ScalarExpr],
    decider: bool,
    datums: &[Datum<'a>],
    context: EvalContext<'a>,
) -> Result<Datum<'a>, EvalError> {
    let mut error = None;
    let mut null = false;
    for argument in arguments {
        match argument.eval(datums, context) {
            Ok(Datum::Bool(value)) if value == decider => return Ok(Datum::Bool(decider)),
            Ok(Datum::Bool(_)) => {}
            Ok(_) => null = true,
            // The least error, so that the order of the arguments does not show.
            Err(raised) => {
                error = Some(match error.take() {
                    Some(before) if before <= raised => before,
                    _ => raised,
                });
            }
        }
    }
    match error {
        Some(error) => Err(error),
        None if null => Ok(Datum::Null),
        None => Ok(Datum::Bool(!decider)),
    }
}

fn reduce_node(expr: &mut ScalarExpr) {
    match expr {
        ScalarExpr::Column(_) | ScalarExpr::Literal(..) => {}
        ScalarExpr::Call { function, arguments, typ } => {
            if function.volatility != Volatility::Immutable {
                return;
            }
            let strict_null = function.strict
                && arguments.iter().any(ScalarExpr::is_literal_null)
                && !arguments.iter().any(ScalarExpr::could_error);
            if strict_null {
                *expr = ScalarExpr::null(typ.scalar_type.clone());
            } else if arguments.iter().all(ScalarExpr::is_literal) {
                fold(expr);
            }
        }
        ScalarExpr::And(_) | ScalarExpr::Or(_) => reduce_connective(expr),
        ScalarExpr::Not(argument) => match &mut **argument {
            ScalarExpr::Not(inner) => *expr = std::mem::replace(inner, ScalarExpr::literal_true()),
            ScalarExpr::Literal(..) => fold(expr),
            _ => {}
        },
        ScalarExpr::IsNull(argument) => {
            if argument.is_literal() {
                fold(expr);
            }
        }
        ScalarExpr::Coalesce(arguments) => {
            let typ = arguments.first().map(|argument| argument.typ(&[]));
            arguments.retain(|argument| !argument.is_literal_null());
            if let Some(position) = arguments.iter().position(ScalarExpr::is_literal) {
                arguments.truncate(position + 1);
            }
            match arguments.len() {
                0 => {
                    let scalar_type = typ.map_or(ScalarType::Unknown, |typ| typ.scalar_type);
                    *expr = ScalarExpr::null(scalar_type);
                }
                1 => *expr = arguments.remove(0),
                _ => {}
            }
        }
        ScalarExpr::If(condition, then, otherwise) => {
            let branch = match condition.as_literal() {
                Some(Ok(Datum::Bool(true))) => then,
                Some(Ok(_)) => otherwise,
                Some(Err(error)) => {
                    let error = error.clone();
                    let typ = then.typ(&[]);
                    *expr = ScalarExpr::Literal(Err(error), typ);
                    return;
                }
                None if then == otherwise && !condition.could_error() => then,
                None => return,
            };
            *expr = std::mem::replace(branch, ScalarExpr::literal_true());
        }
    }
}

/// Replaces an expression of constants by its value or error.
fn fold(expr: &mut ScalarExpr) {
    let typ = expr.typ(&[]);
    let result = expr.eval_constant();
    let nullable = result.as_ref().is_ok_and(|row| matches!(row.iter().next(), Some(Datum::Null)));
    *expr = ScalarExpr::Literal(result, typ.nullable(nullable));
}

fn reduce_connective(expr: &mut ScalarExpr) {
    let (arguments, decider) = match expr {
        ScalarExpr::And(arguments) => (std::mem::take(arguments), false),
        ScalarExpr::Or(arguments) => (std::mem::take(arguments), true),
        _ => return,
    };
    let mut kept: IndexSet<ScalarExpr> = IndexSet::new();
    for argument in arguments {
        match (argument, decider) {
            (ScalarExpr::And(inner), false) | (ScalarExpr::Or(inner), true) => kept.extend(inner),
            (argument, _) => {
                let literal = match argument.as_literal() {
                    Some(Ok(Datum::Bool(value))) => Some(value),
                    _ => None,
                };
                match literal {
                    Some(value) if value == decider => {
                        *expr = ScalarExpr::literal(Datum::Bool(decider), ScalarType::Bool);
                        return;
                    }
                    Some(_) => {}
                    None => {
                        kept.insert(argument);
                    }
                }
            }
        }
    }
    let mut kept: Vec<ScalarExpr> = kept.into_iter().collect();
    *expr = match kept.len() {
        0 => ScalarExpr::literal(Datum::Bool(!decider), ScalarType::Bool),
        1 => kept.remove(0),
        _ if decider => ScalarExpr::Or(kept),
        _ => ScalarExpr::And(kept),
    };
    if let ScalarExpr::And(arguments) | ScalarExpr::Or(arguments) = expr
        && arguments.iter().all(ScalarExpr::is_literal)
    {
        fold(expr);
    }
}
