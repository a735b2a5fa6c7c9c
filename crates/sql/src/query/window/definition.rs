//! What windows are: PARTITION BY, ORDER BY and frames, by name or in place.

use sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, OrderByExpr, Spanned, WindowFrameBound,
    WindowFrameUnits, WindowSpec,
};
use tidemill_expr::CastContext;
use tidemill_expr::window::{FrameExclusion, FrameUnits};
use tidemill_plan::QueryScalar;
use tidemill_repr::{ColumnType, ScalarType, SqlError, SqlState};

use super::{Bound, Frame, Window, WindowPlace, Windows, windowing_error};
use crate::parse::exclusion_of;
use crate::query::cast::{coerce, resolve_unknown};
use crate::query::comparable::{require_equality, require_order};
use crate::query::error::name_of;
use crate::query::expr::ExprContext;
use crate::query::order::direction;
use crate::query::{TypedScalar, walk};

impl Windows {
    /// Plans the windows of a WINDOW clause; each may be built on those before it.
    pub fn define(
        &self,
        planner: &ExprContext<'_>,
        definitions: &[NamedWindowDefinition],
    ) -> Result<(), SqlError> {
        for NamedWindowDefinition(ident, expr) in definitions {
            let name = name_of(ident);
            if self.named.borrow().iter().any(|(known, _)| *known == name) {
                let error = windowing_error(format!("window \"{name}\" is already defined"));
                return Err(planner.ctx.locate(error, ident.span));
            }
            let window = match expr {
                NamedWindowExpr::WindowSpec(spec) => self.window(planner, spec)?,
                NamedWindowExpr::NamedWindow(other) => {
                    return Err(planner.ctx.unsupported("a window that is another", other.span));
                }
            };
            self.named.borrow_mut().push((name, window));
        }
        Ok(())
    }

    /// The window of a name.
    pub(super) fn named(
        &self,
        planner: &ExprContext<'_>,
        ident: &Ident,
    ) -> Result<Window, SqlError> {
        let name = name_of(ident);
        let named = self.named.borrow();
        let found = named.iter().find(|(known, _)| *known == name);
        found.map(|(_, window)| window.clone()).ok_or_else(|| {
            let message = format!("window \"{name}\" does not exist");
            planner.ctx.error(SqlState::UNDEFINED_OBJECT, message, ident.span)
        })
    }

    /// The window of a specification, with what it takes from the one it names.
    pub(super) fn window(
        &self,
        planner: &ExprContext<'_>,
        spec: &WindowSpec,
    ) -> Result<Window, SqlError> {
        let ctx = planner.ctx;
        let windows = WindowPlace::Definition;
        let planner = &ExprContext { windows, sets: None, ..planner.clone() };
        let base = match &spec.window_name {
            Some(ident) => Some((name_of(ident), ident.span, self.named(planner, ident)?)),
            None => None,
        };
        let (keys, exclusion) = split_exclusion(&spec.order_by);
        let plan = |expr: &Expr| resolve_unknown(ctx, planner.plan(expr)?);
        let mut partition_by = Vec::new();
        for expr in &spec.partition_by {
            let key = plan(expr)?;
            require_equality(&key.typ.scalar_type)
                .map_err(|error| ctx.locate(error, expr.span()))?;
            partition_by.push(key.expr);
        }
        let mut order_by = Vec::new();
        for key in keys {
            let value = plan(&key.expr)?;
            require_order(&value.typ.scalar_type)
                .map_err(|error| ctx.locate(error, key.expr.span()))?;
            order_by.push((value, direction(key)?));
        }
        if let Some((name, span, base)) = base {
            let refuse =
                |what: &str| ctx.locate(windowing_error(format!("{what} window \"{name}\"")), span);
            if !partition_by.is_empty() {
                return Err(refuse("cannot override PARTITION BY clause of"));
            }
            if !base.order_by.is_empty() && !order_by.is_empty() {
                return Err(refuse("cannot override ORDER BY clause of"));
            }
            let plain = order_by.is_empty() && spec.window_frame.is_none();
            if base.frame.is_some() {
                let message =
                    format!("cannot copy window \"{name}\" because it has a frame clause");
                let error = ctx.locate(windowing_error(message), span);
                return Err(match plain && base.order_by.is_empty() {
                    true => error.with_hint("Omit the parentheses in this OVER clause."),
                    false => error,
                });
            }
            partition_by = base.partition_by;
            if order_by.is_empty() {
                order_by = base.order_by;
            }
        }
        let frame = match &spec.window_frame {
            Some(frame) => Some(plan_frame(planner, frame, &order_by, exclusion)?),
            None => None,
        };
        Ok(Window { partition_by, order_by, frame })
    }
}

/// What EXCLUDE says is read as a last key: sqlparser has no place for it.
fn split_exclusion(keys: &[OrderByExpr]) -> (&[OrderByExpr], FrameExclusion) {
    match keys.split_last() {
        Some((last, rest)) => match exclusion_of(&last.expr) {
            Some(exclusion) => (rest, exclusion),
            None => (keys, FrameExclusion::NoOthers),
        },
        None => (keys, FrameExclusion::NoOthers),
    }
}

fn plan_frame(
    planner: &ExprContext<'_>,
    frame: &sqlparser::ast::WindowFrame,
    order_by: &[(TypedScalar, tidemill_expr::aggregate::SortDirection)],
    exclusion: FrameExclusion,
) -> Result<Frame, SqlError> {
    check_bounds(&frame.start_bound, frame.end_bound.as_ref())?;
    let units = match frame.units {
        WindowFrameUnits::Rows => FrameUnits::Rows,
        WindowFrameUnits::Range => FrameUnits::Range,
        WindowFrameUnits::Groups => FrameUnits::Groups,
    };
    if units == FrameUnits::Groups && order_by.is_empty() {
        return Err(windowing_error("GROUPS mode requires an ORDER BY clause"));
    }
    let bounds = [Some(&frame.start_bound), frame.end_bound.as_ref()];
    let has_offset = bounds.iter().flatten().any(|bound| {
        matches!(bound, WindowFrameBound::Preceding(Some(_)) | WindowFrameBound::Following(Some(_)))
    });
    let key = match order_by {
        [(key, _)] => Some(&key.typ.scalar_type),
        _ if units == FrameUnits::Range && has_offset => {
            return Err(windowing_error(
                "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column",
            ));
        }
        _ => None,
    };
    let plan = |bound: &WindowFrameBound| {
        Ok::<_, SqlError>(match bound {
            WindowFrameBound::CurrentRow => Bound::CurrentRow,
            WindowFrameBound::Preceding(None) => Bound::UnboundedPreceding,
            WindowFrameBound::Following(None) => Bound::UnboundedFollowing,
            WindowFrameBound::Preceding(Some(offset)) => {
                Bound::Preceding(plan_offset(planner, offset, units, key)?)
            }
            WindowFrameBound::Following(Some(offset)) => {
                Bound::Following(plan_offset(planner, offset, units, key)?)
            }
        })
    };
    let start = plan(&frame.start_bound)?;
    let end = match &frame.end_bound {
        Some(bound) => plan(bound)?,
        None => Bound::CurrentRow,
    };
    Ok(Frame { units, start, end, exclusion })
}

/// The frames that cannot be, as PostgreSQL's grammar refuses them.
fn check_bounds(start: &WindowFrameBound, end: Option<&WindowFrameBound>) -> Result<(), SqlError> {
    use WindowFrameBound::{CurrentRow, Following, Preceding};
    let message = match (start, end) {
        (Following(None), _) => "frame start cannot be UNBOUNDED FOLLOWING",
        (Following(Some(_)), None | Some(CurrentRow)) => {
            "frame starting from following row cannot end with current row"
        }
        (_, Some(Preceding(None))) => "frame end cannot be UNBOUNDED PRECEDING",
        (CurrentRow, Some(Preceding(Some(_)))) => {
            "frame starting from current row cannot have preceding rows"
        }
        (Following(Some(_)), Some(Preceding(Some(_)))) => {
            "frame starting from following row cannot have preceding rows"
        }
        _ => return Ok(()),
    };
    Err(windowing_error(message))
}

/// How far a frame reaches: the same for all rows.
fn plan_offset(
    planner: &ExprContext<'_>,
    expr: &Expr,
    units: FrameUnits,
    key: Option<&ScalarType>,
) -> Result<QueryScalar, SqlError> {
    let ctx = planner.ctx;
    let (word, clause) = match units {
        FrameUnits::Rows => ("ROWS", "window ROWS"),
        FrameUnits::Range => ("RANGE", "window RANGE"),
        FrameUnits::Groups => ("GROUPS", "window GROUPS"),
    };
    let inner = ExprContext { clause, aggregates: None, ..planner.clone() };
    let offset = inner.plan(expr)?;
    let mut varies = false;
    walk::walk_scalar(&mut offset.expr.clone(), 0, &mut |part, depth| {
        if let QueryScalar::Column(reference) = part {
            varies |= reference.level == depth;
        }
        !varies
    });
    if varies {
        let message = format!("argument of {word} must not contain variables");
        return Err(ctx.error(SqlState::INVALID_COLUMN_REFERENCE, message, expr.span()));
    }
    let from = offset.typ.scalar_type.clone();
    if units != FrameUnits::Range {
        let target = ColumnType::new(ScalarType::Int8);
        let coerced = coerce(ctx, offset, &target, CastContext::Assignment)
            .map_err(|error| ctx.locate(error, expr.span()))?;
        return coerced.map(|coerced| coerced.expr).ok_or_else(|| {
            let message = format!("argument of {word} must be type bigint, not type {from}");
            ctx.error(SqlState::DATATYPE_MISMATCH, message, expr.span())
        });
    }
    let refuse = |of: String| {
        let message = format!("RANGE with offset PRECEDING/FOLLOWING is not supported for {of}");
        ctx.error(SqlState::FEATURE_NOT_SUPPORTED, message, expr.span())
    };
    let target = match key {
        Some(ScalarType::Int2 | ScalarType::Int4 | ScalarType::Int8) => ScalarType::Int8,
        Some(ScalarType::Float4 | ScalarType::Float8) => ScalarType::Float8,
        Some(ScalarType::Numeric) => ScalarType::Numeric,
        Some(
            ScalarType::Date
            | ScalarType::Time
            | ScalarType::Timestamp
            | ScalarType::TimestampTz
            | ScalarType::Interval,
        ) => ScalarType::Interval,
        Some(other) => return Err(refuse(format!("column type {other}"))),
        None => return Err(SqlError::internal("RANGE with an offset and no key")),
    };
    let coerced = coerce(ctx, offset, &ColumnType::new(target), CastContext::Implicit)
        .map_err(|error| ctx.locate(error, expr.span()))?;
    coerced.map(|coerced| coerced.expr).ok_or_else(|| {
        let key = key.map(ToString::to_string).unwrap_or_default();
        refuse(format!("column type {key} and offset type {from}"))
            .with_hint("Cast the offset value to an appropriate type.")
    })
}
