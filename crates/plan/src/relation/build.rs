//! Making relations, and walking over them.

use std::collections::BTreeMap;

use tidemill_expr::ScalarExpr;
use tidemill_repr::{Diff, Row};

use crate::relation::{RelationExpr, RelationType};
use crate::{Id, LocalId};

impl RelationExpr {
    /// Rows that are known, each once.
    pub fn constant(rows: Vec<(Row, Diff)>, typ: RelationType) -> RelationExpr {
        RelationExpr::Constant { rows: Ok(rows), typ }
    }

    /// The one row without columns.
    pub fn unit() -> RelationExpr {
        let typ = RelationType { columns: Vec::new(), keys: vec![Vec::new()] };
        RelationExpr::constant(vec![(Row::default(), 1)], typ)
    }

    /// No rows of this type.
    pub fn empty(typ: RelationType) -> RelationExpr {
        RelationExpr::constant(Vec::new(), typ)
    }

    /// Leaves a constant in place of this relation, and gives it.
    #[must_use]
    pub fn take(&mut self) -> RelationExpr {
        std::mem::replace(self, RelationExpr::empty(RelationType::default()))
    }

    /// Reads a binding.
    pub fn local(id: LocalId, typ: RelationType) -> RelationExpr {
        RelationExpr::Get { id: Id::Local(id), typ }
    }

    /// Binds `value` in `body`.
    pub fn bind(id: LocalId, value: RelationExpr, body: RelationExpr) -> RelationExpr {
        RelationExpr::Let { id, value: Box::new(value), body: Box::new(body) }
    }

    /// These columns.
    #[must_use]
    pub fn project(self, outputs: Vec<usize>) -> RelationExpr {
        match self {
            RelationExpr::Project { input, outputs: before } => {
                let outputs =
                    outputs.into_iter().filter_map(|column| before.get(column).copied()).collect();
                input.project(outputs)
            }
            input if is_identity(&outputs, input.arity()) => input,
            input => RelationExpr::Project { input: Box::new(input), outputs },
        }
    }

    /// More columns.
    #[must_use]
    pub fn map(self, scalars: Vec<ScalarExpr>) -> RelationExpr {
        if scalars.is_empty() {
            return self;
        }
        match self {
            RelationExpr::Map { input, scalars: mut before } => {
                before.extend(scalars);
                RelationExpr::Map { input, scalars: before }
            }
            input => RelationExpr::Map { input: Box::new(input), scalars },
        }
    }

    /// Fewer rows.
    #[must_use]
    pub fn filter(self, predicates: Vec<ScalarExpr>) -> RelationExpr {
        if predicates.is_empty() {
            return self;
        }
        match self {
            RelationExpr::Filter { input, predicates: mut before } => {
                before.extend(predicates);
                RelationExpr::Filter { input, predicates: before }
            }
            input => RelationExpr::Filter { input: Box::new(input), predicates },
        }
    }

    /// The product of relations where expressions are equal; of none, the unit; of one, itself
    /// (if nothing has to be equal).
    pub fn join(inputs: Vec<RelationExpr>, equivalences: Vec<Vec<ScalarExpr>>) -> RelationExpr {
        let mut inputs = inputs;
        if inputs.is_empty() && equivalences.is_empty() {
            return RelationExpr::unit();
        }
        if inputs.len() == 1 && equivalences.is_empty() {
            return inputs.remove(0);
        }
        RelationExpr::Join { inputs, equivalences }
    }

    /// Each row once.
    #[must_use]
    pub fn distinct(self) -> RelationExpr {
        let group_key = (0..self.arity()).map(ScalarExpr::Column).collect();
        RelationExpr::Reduce {
            input: Box::new(self),
            group_key,
            aggregates: Vec::new(),
            typ: Vec::new(),
        }
    }

    /// All diffs negated.
    #[must_use]
    pub fn negate(self) -> RelationExpr {
        RelationExpr::Negate { input: Box::new(self) }
    }

    /// All rows of all.
    pub fn union(inputs: Vec<RelationExpr>) -> RelationExpr {
        let types: Vec<RelationType> = inputs.iter().map(RelationExpr::typ).collect();
        let mut columns = types.first().cloned().unwrap_or_default().columns;
        for (position, column) in columns.iter_mut().enumerate() {
            column.nullable =
                types.iter().any(|typ| typ.columns.get(position).is_none_or(|c| c.nullable));
            if types
                .iter()
                .any(|typ| typ.columns.get(position).is_some_and(|c| c.typmod != column.typmod))
            {
                column.typmod = -1;
            }
        }
        RelationExpr::Union { inputs, typ: RelationType::new(columns) }
    }

    /// The relations right below.
    pub fn children(&self) -> Vec<&RelationExpr> {
        match self {
            RelationExpr::Constant { .. } | RelationExpr::Get { .. } => Vec::new(),
            RelationExpr::Let { value, body, .. } => vec![value, body],
            RelationExpr::LetRec { bindings, body, .. } => {
                bindings.iter().map(|binding| &binding.value).chain([&**body]).collect()
            }
            RelationExpr::Project { input, .. }
            | RelationExpr::Map { input, .. }
            | RelationExpr::Filter { input, .. }
            | RelationExpr::FlatMap { input, .. }
            | RelationExpr::Reduce { input, .. }
            | RelationExpr::TopK { input, .. }
            | RelationExpr::Window { input, .. }
            | RelationExpr::Negate { input }
            | RelationExpr::Threshold { input } => vec![input],
            RelationExpr::Join { inputs, .. } | RelationExpr::Union { inputs, .. } => {
                inputs.iter().collect()
            }
        }
    }

    /// The relations right below, to change.
    pub fn children_mut(&mut self) -> Vec<&mut RelationExpr> {
        match self {
            RelationExpr::Constant { .. } | RelationExpr::Get { .. } => Vec::new(),
            RelationExpr::Let { value, body, .. } => vec![value, body],
            RelationExpr::LetRec { bindings, body, .. } => {
                bindings.iter_mut().map(|binding| &mut binding.value).chain([&mut **body]).collect()
            }
            RelationExpr::Project { input, .. }
            | RelationExpr::Map { input, .. }
            | RelationExpr::Filter { input, .. }
            | RelationExpr::FlatMap { input, .. }
            | RelationExpr::Reduce { input, .. }
            | RelationExpr::TopK { input, .. }
            | RelationExpr::Window { input, .. }
            | RelationExpr::Negate { input }
            | RelationExpr::Threshold { input } => vec![input],
            RelationExpr::Join { inputs, .. } | RelationExpr::Union { inputs, .. } => {
                inputs.iter_mut().collect()
            }
        }
    }

    /// The scalar expressions of this operator, to change.
    pub fn scalars_mut(&mut self) -> Vec<&mut ScalarExpr> {
        match self {
            RelationExpr::Map { scalars, .. } => scalars.iter_mut().collect(),
            RelationExpr::Filter { predicates, .. } => predicates.iter_mut().collect(),
            RelationExpr::FlatMap { arguments, .. } => arguments.iter_mut().collect(),
            RelationExpr::Join { equivalences, .. } => equivalences.iter_mut().flatten().collect(),
            RelationExpr::Reduce { group_key, aggregates, .. } => {
                let arguments = aggregates.iter_mut().map(|call| &mut call.argument);
                group_key.iter_mut().chain(arguments).collect()
            }
            RelationExpr::TopK { limit, .. } => limit.iter_mut().collect(),
            _ => Vec::new(),
        }
    }

    /// Calls `visitor` for everything below, then for this.
    pub fn visit(&self, visitor: &mut dyn FnMut(&RelationExpr)) {
        grow(|| {
            for child in self.children() {
                child.visit(visitor);
            }
            visitor(self);
        });
    }

    /// Calls `visitor` for everything below, then for this, to change it.
    pub fn visit_mut(&mut self, visitor: &mut dyn FnMut(&mut RelationExpr)) {
        grow(|| {
            for child in self.children_mut() {
                child.visit_mut(visitor);
            }
            visitor(self);
        });
    }

    /// How often each object and binding is read.
    pub fn uses(&self) -> BTreeMap<Id, usize> {
        let mut uses = BTreeMap::new();
        self.visit(&mut |relation| {
            if let RelationExpr::Get { id, .. } = relation {
                *uses.entry(*id).or_insert(0) += 1;
            }
        });
        uses
    }
}

/// Whether these columns are all of so many, in order.
pub fn is_identity(outputs: &[usize], arity: usize) -> bool {
    outputs.len() == arity && outputs.iter().enumerate().all(|(at, column)| at == *column)
}

/// Runs one step of a recursion over plans, on more stack where little is left.
pub fn grow<R>(step: impl FnOnce() -> R) -> R {
    stacker::maybe_grow(256 * 1024, 8 * 1024 * 1024, step)
}
