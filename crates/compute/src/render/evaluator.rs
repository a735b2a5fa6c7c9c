//! Row-wise work over encoded rows: decode, evaluate, encode.
//!
//! Work that only moves columns copies their bytes without decoding them into values. A panic in
//! a function becomes an error of the collection, so that it stays in its dataflow.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bumpalo::Bump;
use smallvec::SmallVec;
use tidemill_expr::{EvalContext, EvalError, ScalarExpr};
use tidemill_plan::physical::MapFilterProject;
use tidemill_repr::{Datum, Row, RowBuilder, RowRef};

use crate::render::errors::internal;

/// Evaluates a [`MapFilterProject`] over rows.
pub struct MfpEvaluator {
    mfp: MapFilterProject,
    /// It keeps all rows as they are.
    identity: bool,
    /// It only moves columns.
    moves: bool,
    arena: Bump,
    builder: RowBuilder,
}

impl MfpEvaluator {
    /// An evaluator of this work.
    pub fn new(mfp: &MapFilterProject) -> MfpEvaluator {
        MfpEvaluator {
            identity: mfp.is_identity(),
            moves: mfp.scalars.is_empty() && mfp.predicates.is_empty(),
            mfp: mfp.clone(),
            arena: Bump::new(),
            builder: RowBuilder::new(),
        }
    }

    /// The row that comes of the columns of all `parts`, one after the other, if it is kept.
    pub fn evaluate(&mut self, parts: &[RowRef<'_>]) -> Option<Result<Row, EvalError>> {
        self.builder.clear();
        if self.identity {
            for part in parts {
                self.builder.push_encoded(part.bytes());
            }
            return Some(Ok(self.builder.finish()));
        }
        if self.moves {
            move_columns(parts, &self.mfp.projection, &mut self.builder);
            return Some(Ok(self.builder.finish()));
        }
        self.arena.reset();
        let MfpEvaluator { mfp, arena, builder, .. } = self;
        let context = EvalContext { arena };
        match guard(|| mfp.evaluate(&mut decode(parts), context, builder)) {
            Ok(true) => Some(Ok(self.builder.finish())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// Evaluates a list of expressions over rows, into a row: keys, arguments.
pub struct RowEvaluator {
    expressions: Vec<ScalarExpr>,
    /// The columns, if all expressions are such.
    columns: Option<Vec<usize>>,
    arena: Bump,
    builder: RowBuilder,
}

impl RowEvaluator {
    /// An evaluator of these expressions.
    pub fn new(expressions: &[ScalarExpr]) -> RowEvaluator {
        let column = |expression: &ScalarExpr| match expression {
            ScalarExpr::Column(column) => Some(*column),
            _ => None,
        };
        RowEvaluator {
            columns: expressions.iter().map(column).collect(),
            expressions: expressions.to_vec(),
            arena: Bump::new(),
            builder: RowBuilder::new(),
        }
    }

    /// The row of the expressions' values.
    pub fn evaluate(&mut self, parts: &[RowRef<'_>]) -> Result<Row, EvalError> {
        self.builder.clear();
        if let Some(columns) = &self.columns {
            move_columns(parts, columns, &mut self.builder);
            return Ok(self.builder.finish());
        }
        self.arena.reset();
        let RowEvaluator { expressions, arena, builder, .. } = self;
        guard(|| {
            let context = EvalContext { arena };
            let datums = decode(parts);
            for expression in expressions.iter() {
                builder.push(expression.eval(&datums, context)?);
            }
            Ok(())
        })?;
        Ok(self.builder.finish())
    }
}

/// The datums of rows, one row after the other.
pub fn decode<'a>(parts: &[RowRef<'a>]) -> Vec<Datum<'a>> {
    parts.iter().flat_map(RowRef::iter).collect()
}

/// Whether one of the row's columns is NULL.
pub fn has_null(row: RowRef<'_>) -> bool {
    row.iter().any(|datum| datum.is_null())
}

/// Runs evaluation; a panic in it is an error.
pub fn guard<R>(evaluation: impl FnOnce() -> Result<R, EvalError>) -> Result<R, EvalError> {
    catch_unwind(AssertUnwindSafe(evaluation))
        .unwrap_or_else(|_| Err(internal("an expression could not be evaluated")))
}

fn move_columns(parts: &[RowRef<'_>], columns: &[usize], builder: &mut RowBuilder) {
    let Some(last) = columns.iter().max() else { return };
    let mut slices: SmallVec<[&[u8]; 16]> = SmallVec::new();
    'parts: for part in parts {
        let mut datums = part.iter();
        while let Some(bytes) = datums.next_bytes() {
            slices.push(bytes);
            if slices.len() > *last {
                break 'parts;
            }
        }
    }
    for column in columns {
        match slices.get(*column) {
            Some(bytes) => builder.push_encoded(bytes),
            None => builder.push(Datum::Null),
        }
    }
}
