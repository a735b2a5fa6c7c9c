//! Recursions: all bindings depend on the same columns of outer scopes, those that any of them
//! uses, so that each outer row has a recursion of its own inside the one.

use std::collections::BTreeSet;

use tidemill_plan::{
    LocalId, QueryExpr, RecursionLimit, RecursiveBinding, RelationExpr, RelationType,
};
use tidemill_repr::SqlError;

use super::{Binding, Decorrelation, Outer, Place};

impl Decorrelation<'_> {
    /// Binds relations that are computed from one another, for the body.
    pub(super) fn bind_recursive(
        &mut self,
        bindings: &[RecursiveBinding<QueryExpr>],
        limit: RecursionLimit,
        body: &QueryExpr,
        outer: &Outer,
    ) -> Result<RelationExpr, SqlError> {
        let mut places: BTreeSet<Place> = BTreeSet::new();
        for binding in bindings {
            places.extend(self.free(&binding.value, outer.depth));
        }
        let places: Vec<Place> = places.into_iter().collect();
        let (inner, wrap) = self.outer_of(outer, &places, outer.depth)?;
        let mut ids = Vec::new();
        let mut shadowed: Vec<(LocalId, Option<Binding>)> = Vec::new();
        for binding in bindings {
            let id = self.fresh();
            let columns = inner.columns.iter().chain(&binding.typ.columns).cloned().collect();
            let typ = RelationType::new(columns);
            ids.push((id, typ.clone()));
            let known = Binding { id, places: places.clone(), typ };
            shadowed.push((binding.id, self.bindings.insert(binding.id, known)));
        }
        let result = self.values_and_body(bindings, ids, limit, body, (&inner, outer));
        for (name, before) in shadowed.into_iter().rev() {
            match before {
                Some(before) => self.bindings.insert(name, before),
                None => self.bindings.remove(&name),
            };
        }
        let result = result?;
        Ok(match wrap {
            Some((id, keys)) => RelationExpr::bind(id, keys, result),
            None => result,
        })
    }

    fn values_and_body(
        &mut self,
        bindings: &[RecursiveBinding<QueryExpr>],
        ids: Vec<(LocalId, RelationType)>,
        limit: RecursionLimit,
        body: &QueryExpr,
        (inner, outer): (&Outer, &Outer),
    ) -> Result<RelationExpr, SqlError> {
        let mut values = Vec::new();
        for (binding, (id, typ)) in bindings.iter().zip(ids) {
            let value = self.apply(&binding.value, inner)?;
            values.push(RecursiveBinding { id, name: binding.name.clone(), value, typ });
        }
        let body = Box::new(self.apply(body, outer)?);
        Ok(RelationExpr::LetRec { bindings: values, limit, body })
    }
}
