//! Joins: a stream meets one arrangement after the other.

use differential_dataflow::AsCollection;
use differential_dataflow::consolidation::ConsolidatingContainerBuilder;
use differential_dataflow::operators::cursor::join::join_traces;
use tidemill_expr::EvalError;
use tidemill_plan::physical::{ArrangementKey, JoinStage, LinearJoin, MapFilterProject};
use tidemill_repr::{Diff, Row, RowRef};
use timely::container::PushInto;

use crate::render::bundle::{ArrangedRows, Arrangement, Bundle};
use crate::render::errors::split;
use crate::render::evaluator::{MfpEvaluator, has_null};
use crate::render::time::RenderTime;
use crate::render::{Bounds, Context};
use crate::typedefs::{Errors, Rows};

type JoinBuilder<T> = ConsolidatingContainerBuilder<Vec<(Result<Row, EvalError>, T, Diff)>>;

/// Joins the source with each stage in turn.
pub fn render<'scope, T: RenderTime>(
    context: &mut Context<'scope, T>,
    join: &LinearJoin,
) -> Bundle<'scope, T> {
    let source = context.render(&join.source);
    let mut current = if join.source_mfp.is_identity() {
        source
    } else {
        let (rows, errors) = context.stream_with(&source, &join.source_mfp);
        Bundle::from_stream(rows, errors)
    };
    for stage in &join.stages {
        let lookup = context.render(&stage.lookup);
        let (rows, errors) = render_stage(context, &current, &lookup, stage);
        current = Bundle::from_stream(rows, errors);
    }
    current
}

fn render_stage<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    stream: &Bundle<'scope, T>,
    lookup: &Bundle<'scope, T>,
    stage: &JoinStage,
) -> (Rows<'scope, T>, Errors<'scope, T>) {
    let stream_key = ArrangementKey(stage.stream_key.clone());
    let lookup_key = ArrangementKey(stage.lookup_key.clone());
    // An arrangement that is made here has no NULL keys; if both are shared ones, the join
    // itself must look.
    let both_shared =
        stream.arrangement(&stream_key).is_some() && lookup.arrangement(&lookup_key).is_some();
    let left = context.arranged(stream, &stream_key, true);
    let right = context.arranged(lookup, &lookup_key, true);
    let (rows, errors) = join_arranged(context, left.clone(), right.clone(), stage, both_shared);
    (rows, left.errors.concat(right.errors).concat(errors))
}

fn join_arranged<'scope, T: RenderTime>(
    context: &Context<'scope, T>,
    left: Arrangement<'scope, T>,
    right: Arrangement<'scope, T>,
    stage: &JoinStage,
    check_null: bool,
) -> (Rows<'scope, T>, Errors<'scope, T>) {
    let (bounds, mfp) = (context.bounds, &stage.mfp);
    let joined = match (left.rows, right.rows) {
        (ArrangedRows::Own(left), ArrangedRows::Own(right)) => {
            let logic = pairing(mfp, bounds, check_null);
            join_traces::<_, _, _, _, JoinBuilder<T>>(left, right, "Join", logic)
        }
        (left, right) => {
            let logic = pairing(mfp, bounds, check_null);
            join_traces::<_, _, _, _, JoinBuilder<T>>(left.any(), right.any(), "Join", logic)
        }
    };
    split(joined.as_collection())
}

/// What is made of two rows with the same key.
fn pairing<T: RenderTime>(
    mfp: &MapFilterProject,
    bounds: Bounds,
    check_null: bool,
) -> impl FnMut(RowRef<'_>, RowRef<'_>, RowRef<'_>, T, &Diff, &Diff, &mut JoinBuilder<T>) + 'static
{
    let mut evaluator = MfpEvaluator::new(mfp);
    move |key, left, right, time, left_diff, right_diff, output| {
        let Some(time) = bounds.advance(time) else { return };
        if check_null && has_null(key) {
            return;
        }
        if let Some(result) = evaluator.evaluate(&[left, right]) {
            output.push_into((result, time, left_diff * right_diff));
        }
    }
}
