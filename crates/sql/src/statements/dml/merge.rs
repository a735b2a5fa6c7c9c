//! MERGE: the target joined to the source, with the number of the action to take for each row.

use sqlparser::ast::{
    Expr, Merge, MergeAction as Action, MergeClause, MergeClauseKind, MergeInsertExpr,
    MergeInsertKind, MergeUpdateKind, OutputClause, SelectItem, TableWithJoins,
};
use tidemill_expr::FunctionRef;
use tidemill_plan::query::JoinKind;
use tidemill_plan::{QueryExpr, QueryScalar};
use tidemill_repr::{ColumnType, Datum, Row, ScalarType, SqlError, SqlState};

use super::target::Target;
use super::{NewValues, boolean, column, column_position, counted, get, is_default, refuse};
use crate::plan::{MergeAction, MergePlan, Plan, Planned};
use crate::query::{self, QueryContext, Scope};
use crate::statements::table::duplicate_column;
use crate::statements::{Planning, command};

/// The joined rows: `[target | count | source | mark]`.
struct Joined<'t, 'a> {
    target: &'t Target<'a>,
    both: Scope,
    only_source: Scope,
    only_target: Scope,
    /// Where the count, and the mark, are.
    count: usize,
    mark: usize,
}

impl Planning<'_> {
    pub(in crate::statements) fn merge(&self, merge: &Merge) -> Result<Planned, SqlError> {
        let Merge { into, table, source, on, clauses, output, .. } = merge;
        if !*into {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                format!("syntax error at or near \"{table}\""),
            ));
        }
        let returning = returning_items(output.as_ref())?;
        let target = self.factor_target(table, "merge into")?;
        let desc = &target.table.desc;
        let context = self.context();
        let item = TableWithJoins { relation: source.clone(), joins: Vec::new() };
        let (source, names) = query::plan_from_items(&context, &[item])?;
        let width = names.width();
        let own = target.scope().with_unnamed(1);
        let joined = Joined {
            target: &target,
            both: own.clone().join(names.clone())?,
            only_source: own.clone().without_names().join(names.clone())?,
            only_target: own.join(names.clone().without_names())?,
            count: desc.arity(),
            mark: desc.arity() + 1 + width,
        };
        let on = query::plan_condition(&context, &joined.both, on, "JOIN/ON")?;
        let left = Box::new(counted(get(target.item.id, desc), desc));
        let right =
            Box::new(QueryExpr::Map { input: Box::new(source), scalars: vec![boolean(true)] });
        let kind = join_kind(clauses);
        let mut query = QueryExpr::Join { left, right, on, kind, lateral: false };
        let (actions, choice, values) = self.clauses(&context, clauses, &joined)?;
        // The number of the action, then the new row.
        query = QueryExpr::Map { input: Box::new(query), scalars: vec![choice] };
        let acts = QueryScalar::Not(Box::new(is_action(joined.mark + 1, 0)?));
        query = QueryExpr::Filter { input: Box::new(query), predicates: vec![acts] };
        query = QueryExpr::Map { input: Box::new(query), scalars: values };
        query = target.with_stored(self, query, joined.mark + 2)?;
        query::settle_query_parameters(&context, &mut query);
        let returning = match returning {
            None => None,
            Some(items) => {
                let mut types = names.types_from(0);
                types.extend(desc.types());
                let scope = names.join(target.scope())?;
                self.returning(&context, &scope, &types, Some(&items))?
            }
        };
        let parameters = context.parameter_types()?;
        let check = self.row_check(&target)?;
        let plan =
            MergePlan { table: target.item.id, query, source: width, actions, check, returning };
        let desc = plan.returning.as_ref().map(|returning| returning.desc.clone());
        Ok(Planned { desc, parameters, ..command(Plan::Merge(Box::new(plan))) })
    }

    /// What is done, the number of what is done with a row, and the columns of the new row.
    fn clauses(
        &self,
        context: &QueryContext<'_>,
        clauses: &[MergeClause],
        joined: &Joined<'_, '_>,
    ) -> Result<(Vec<MergeAction>, QueryScalar, Vec<QueryScalar>), SqlError> {
        let mut actions = Vec::new();
        let mut conditions = Vec::new();
        let mut rows: Vec<(usize, Vec<QueryScalar>)> = Vec::new();
        let mut unreachable = Vec::new();
        for clause in clauses {
            let matching = Matching::of(clause.clause_kind);
            if unreachable.contains(&matching) {
                return Err(SqlError::new(
                    SqlState::SYNTAX_ERROR,
                    "unreachable WHEN clause specified after unconditional WHEN clause",
                ));
            }
            let scope = match matching {
                Matching::Both => &joined.both,
                Matching::SourceOnly => &joined.only_source,
                Matching::TargetOnly => &joined.only_target,
            };
            let mut condition = joined.condition(matching);
            match &clause.predicate {
                None => unreachable.push(matching),
                Some(predicate) => {
                    condition.push(query::plan_condition(context, scope, predicate, "MERGE WHEN")?);
                }
            }
            let number = actions.len() + 1;
            let (action, row) = self.action(context, &clause.action, matching, scope, joined)?;
            rows.extend(row.map(|row| (number, row)));
            actions.push(action);
            conditions.push(QueryScalar::And(condition));
        }
        let mut choice = integer(0);
        for (index, condition) in conditions.into_iter().enumerate().rev() {
            let number = match actions[index] {
                MergeAction::Nothing => 0,
                _ => index + 1,
            };
            choice =
                QueryScalar::If(Box::new(condition), Box::new(integer(number)), Box::new(choice));
        }
        let mut values = joined.target.all_values(Vec::new());
        for (number, row) in rows.into_iter().rev() {
            for (position, (value, scalar)) in values.iter_mut().zip(row).enumerate() {
                if scalar == column(position) && *value == scalar {
                    continue;
                }
                let applies = is_action(joined.mark + 1, number)?;
                let other = std::mem::replace(value, column(position));
                *value = QueryScalar::If(Box::new(applies), Box::new(scalar), Box::new(other));
            }
        }
        Ok((actions, choice, values))
    }

    fn action(
        &self,
        context: &QueryContext<'_>,
        action: &Action,
        matching: Matching,
        scope: &Scope,
        joined: &Joined<'_, '_>,
    ) -> Result<(MergeAction, Option<Vec<QueryScalar>>), SqlError> {
        let target = joined.target;
        let inserts = matches!(action, Action::Insert(_));
        let may = match matching {
            Matching::SourceOnly => inserts || matches!(action, Action::DoNothing { .. }),
            Matching::Both | Matching::TargetOnly => !inserts,
        };
        if !may {
            let what = if inserts { "insert" } else { "update" };
            let message = format!("syntax error at or near \"{what}\"");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        match action {
            Action::DoNothing { .. } => Ok((MergeAction::Nothing, None)),
            Action::Delete { .. } => Ok((MergeAction::Delete, None)),
            Action::Update(update) => {
                let MergeUpdateKind::Set(assignments) = &update.kind else {
                    return Err(SqlError::unsupported("UPDATE SET * in MERGE"));
                };
                let more = update.update_predicate.is_some() || update.delete_predicate.is_some();
                refuse("WHERE of an action of MERGE", more)?;
                let values = self.assignments(context, scope, assignments, target)?;
                Ok((MergeAction::Update, Some(target.all_values(values))))
            }
            Action::Insert(insert) => {
                let values = self.inserted(context, insert, scope, target)?;
                Ok((MergeAction::Insert, Some(target.all_values(values))))
            }
        }
    }

    /// The columns of a row that MERGE inserts.
    fn inserted(
        &self,
        context: &QueryContext<'_>,
        insert: &MergeInsertExpr,
        scope: &Scope,
        target: &Target<'_>,
    ) -> Result<NewValues, SqlError> {
        refuse("WHERE of an action of MERGE", insert.insert_predicate.is_some())?;
        let MergeInsertKind::Values(values) = &insert.kind else {
            return Err(SqlError::unsupported("this form of INSERT in MERGE"));
        };
        let [row] = values.rows.as_slice() else {
            return Err(SqlError::new(
                SqlState::SYNTAX_ERROR,
                "an INSERT of MERGE has one row of values",
            ));
        };
        let desc = &target.table.desc;
        let mut columns = Vec::new();
        for name in &insert.columns {
            let position = column_position(name, desc, &target.item.name.item)?;
            if columns.contains(&position) {
                return Err(duplicate_column(&desc.columns[position].name));
            }
            columns.push(position);
        }
        let named = !columns.is_empty();
        if !named {
            columns = (0..desc.arity()).collect();
        }
        let (given, wanted) = (row.content.len(), columns.len());
        if given > wanted || (given < wanted && named) {
            let (more, less) = if given > wanted {
                ("expressions", "target columns")
            } else {
                ("target columns", "expressions")
            };
            let message = format!("INSERT has more {more} than {less}");
            return Err(SqlError::new(SqlState::SYNTAX_ERROR, message));
        }
        let mut all: NewValues = Vec::new();
        for position in 0..desc.arity() {
            let index = columns.iter().position(|known| *known == position);
            let expr: Option<&Expr> = index.and_then(|index| row.content.get(index));
            let scalar = match expr.filter(|expr| !is_default(expr)) {
                None => self.default_value(context, target, position)?,
                Some(expr) => {
                    target.check_given(position, None)?;
                    let known = &desc.columns[position];
                    let planned = query::plan_scalar(context, scope, expr)?;
                    let typ = known.typ.clone().nullable(true);
                    query::coerce_assignment(context, planned, &typ, &known.name)?.expr
                }
            };
            all.push((position, scalar));
        }
        Ok(all)
    }
}

/// Which sides of the join a row has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Matching {
    Both,
    SourceOnly,
    TargetOnly,
}

impl Matching {
    fn of(kind: MergeClauseKind) -> Matching {
        match kind {
            MergeClauseKind::Matched => Matching::Both,
            MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget => {
                Matching::SourceOnly
            }
            MergeClauseKind::NotMatchedBySource => Matching::TargetOnly,
        }
    }
}

impl Joined<'_, '_> {
    fn condition(&self, matching: Matching) -> Vec<QueryScalar> {
        let absent = |position| QueryScalar::IsNull(Box::new(column(position)));
        let present = |position| QueryScalar::Not(Box::new(absent(position)));
        match matching {
            Matching::Both => vec![present(self.count), present(self.mark)],
            Matching::SourceOnly => vec![absent(self.count)],
            Matching::TargetOnly => vec![absent(self.mark)],
        }
    }
}

fn join_kind(clauses: &[MergeClause]) -> JoinKind {
    let any = |wanted| clauses.iter().any(|clause| Matching::of(clause.clause_kind) == wanted);
    match (any(Matching::SourceOnly), any(Matching::TargetOnly)) {
        (true, true) => JoinKind::Full,
        (true, false) => JoinKind::Right,
        (false, true) => JoinKind::Left,
        (false, false) => JoinKind::Inner,
    }
}

fn integer(value: usize) -> QueryScalar {
    let typ = ColumnType::new(ScalarType::Int4).nullable(false);
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    QueryScalar::Literal(Ok(Row::pack([Datum::Int(value)])), typ)
}

fn is_action(position: usize, number: usize) -> Result<QueryScalar, SqlError> {
    let equal = FunctionRef::by_id("int4eq").ok_or_else(|| SqlError::internal("no equality"))?;
    let typ = ColumnType::new(ScalarType::Bool).nullable(false);
    let arguments = vec![column(position), integer(number)];
    Ok(QueryScalar::Call { function: equal, arguments, typ })
}

fn returning_items(output: Option<&OutputClause>) -> Result<Option<Vec<SelectItem>>, SqlError> {
    match output {
        None => Ok(None),
        Some(OutputClause::Returning { select_items, .. }) => Ok(Some(select_items.clone())),
        Some(_) => Err(SqlError::unsupported("OUTPUT")),
    }
}
