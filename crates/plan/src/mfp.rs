//! Row-wise work, done: evaluation of a [`MapFilterProject`], and putting two into one.

use tidemill_expr::{EvalContext, EvalError, ScalarExpr};
use tidemill_repr::{Datum, RowBuilder};

use crate::physical::MapFilterProject;

impl MapFilterProject {
    /// Does the work on one row, whose columns are in `datums` (the added ones are put behind
    /// them). If the row is kept, appends the result to `out` and gives true.
    ///
    /// # Errors
    /// An expression has no value for this row.
    pub fn evaluate<'a>(
        &'a self,
        datums: &mut Vec<Datum<'a>>,
        context: EvalContext<'a>,
        out: &mut RowBuilder,
    ) -> Result<bool, EvalError> {
        if !self.extend_and_filter(datums, context)? {
            return Ok(false);
        }
        for column in &self.projection {
            out.push(datums.get(*column).copied().unwrap_or(Datum::Null));
        }
        Ok(true)
    }

    /// Extends the row and says whether it is kept; nothing is put out.
    ///
    /// # Errors
    /// An expression has no value for this row.
    pub fn extend_and_filter<'a>(
        &'a self,
        datums: &mut Vec<Datum<'a>>,
        context: EvalContext<'a>,
    ) -> Result<bool, EvalError> {
        let mut predicates = self.predicates.iter().peekable();
        for added in 0..=self.scalars.len() {
            let there = self.input_arity + added;
            while let Some((_, predicate)) = predicates.next_if(|(needed, _)| *needed <= there) {
                if !matches!(predicate.eval(datums, context)?, Datum::Bool(true)) {
                    return Ok(false);
                }
            }
            if let Some(scalar) = self.scalars.get(added) {
                let datum = scalar.eval(datums, context)?;
                datums.push(datum);
            }
        }
        Ok(true)
    }

    /// Columns of the result.
    pub fn output_arity(&self) -> usize {
        self.projection.len()
    }

    /// How many columns an expression must wait for.
    fn needed(expr: &ScalarExpr) -> usize {
        expr.support().last().map_or(0, |column| column + 1)
    }

    /// Puts the column that `projection` names for each column of an expression.
    fn resolved(&self, expr: &ScalarExpr) -> ScalarExpr {
        let mut expr = expr.clone();
        expr.permute(&self.projection);
        expr
    }

    /// Adds columns, at the end of the result.
    #[must_use]
    pub fn map(mut self, scalars: impl IntoIterator<Item = ScalarExpr>) -> MapFilterProject {
        for scalar in scalars {
            let scalar = self.resolved(&scalar);
            let column = self.input_arity + self.scalars.len();
            match scalar {
                ScalarExpr::Column(column) => self.projection.push(column),
                scalar => {
                    self.scalars.push(scalar);
                    self.projection.push(column);
                }
            }
        }
        self
    }

    /// Keeps the rows of the result for which these are true.
    #[must_use]
    pub fn filter(mut self, predicates: impl IntoIterator<Item = ScalarExpr>) -> MapFilterProject {
        for predicate in predicates {
            let predicate = self.resolved(&predicate);
            // Not before those that are there: they may guard it.
            let before = self.predicates.last().map_or(0, |(needed, _)| *needed);
            let needed = MapFilterProject::needed(&predicate).max(before);
            self.predicates.push((needed, predicate));
        }
        self
    }

    /// Keeps these columns of the result.
    #[must_use]
    pub fn project(mut self, outputs: &[usize]) -> MapFilterProject {
        self.projection =
            outputs.iter().filter_map(|column| self.projection.get(*column).copied()).collect();
        self
    }

    /// This work, then another on its result, as one.
    #[must_use]
    pub fn then(self, next: &MapFilterProject) -> MapFilterProject {
        let mut both = self;
        // Columns of `next`, in columns of the whole.
        let mut predicates = next.predicates.iter().peekable();
        for added in 0..=next.scalars.len() {
            let there = next.input_arity + added;
            while let Some((_, predicate)) = predicates.next_if(|(needed, _)| *needed <= there) {
                both = both.filter([predicate.clone()]);
            }
            if let Some(scalar) = next.scalars.get(added) {
                both = both.map([scalar.clone()]);
            }
        }
        both.project(&next.projection)
    }

    /// The same work on rows that have more columns around: input column c is at `columns[c]`
    /// of rows of `arity` columns.
    #[must_use]
    pub fn over(&self, columns: &[usize], arity: usize) -> MapFilterProject {
        MapFilterProject::identity(arity).project(columns).then(self)
    }

    /// Folds constants and drops what is not used.
    pub fn optimize(&mut self) {
        for scalar in &mut self.scalars {
            scalar.reduce();
        }
        for (_, predicate) in &mut self.predicates {
            predicate.reduce();
        }
        self.predicates.retain(|(_, predicate)| !predicate.is_literal_true());
        let total = self.input_arity + self.scalars.len();
        let mut used = vec![false; total];
        let roots = self.predicates.iter().flat_map(|(_, predicate)| predicate.support());
        for column in roots.chain(self.projection.iter().copied()) {
            if let Some(used) = used.get_mut(column) {
                *used = true;
            }
        }
        for at in (0..self.scalars.len()).rev() {
            if used[self.input_arity + at] {
                for column in self.scalars[at].support() {
                    used[column] = true;
                }
            }
        }
        let mut places: Vec<usize> = Vec::with_capacity(total);
        let mut kept = 0;
        for (column, used) in used.iter().enumerate() {
            places.push(kept);
            if column < self.input_arity || *used {
                kept += 1;
            }
        }
        let arity = self.input_arity;
        let mut at = 0;
        self.scalars.retain(|_| {
            at += 1;
            used[arity + at - 1]
        });
        for scalar in &mut self.scalars {
            scalar.permute(&places);
        }
        for (needed, predicate) in &mut self.predicates {
            predicate.permute(&places);
            *needed = places.get(*needed).copied().unwrap_or(kept);
        }
        for column in &mut self.projection {
            *column = places[*column];
        }
    }
}
