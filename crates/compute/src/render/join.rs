//! Joins: a stream meets one arrangement after the other.

use differential_dataflow::AsCollection;
use differential_dataflow::consolidation::ConsolidatingContainerBuilder;
use differential_dataflow::operators::cursor::join::join_traces;
use tidemill_expr::EvalError;
use tidemill_plan::physical::{ArrangementKey, JoinStage, LinearJoin};
use tidemill_repr::{Diff, Row};
use timely::container::PushInto;

use crate::render::Context;
use crate::render::bundle::{Arrangement, Bundle};
use crate::render::errors::split;
use crate::render::evaluator::{MfpEvaluator, has_null};
use crate::typedefs::{Errors, Rows, Time};

type JoinBuilder = ConsolidatingContainerBuilder<Vec<(Result<Row, EvalError>, Time, Diff)>>;

/// Joins the source with each stage in turn.
pub fn render<'scope>(context: &mut Context<'scope>, join: &LinearJoin) -> Bundle<'scope> {
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

fn render_stage<'scope>(
    context: &Context<'scope>,
    stream: &Bundle<'scope>,
    lookup: &Bundle<'scope>,
    stage: &JoinStage,
) -> (Rows<'scope>, Errors<'scope>) {
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

fn join_arranged<'scope>(
    context: &Context<'scope>,
    left: Arrangement<'scope>,
    right: Arrangement<'scope>,
    stage: &JoinStage,
    check_null: bool,
) -> (Rows<'scope>, Errors<'scope>) {
    let bounds = context.bounds;
    let mut evaluator = MfpEvaluator::new(&stage.mfp);
    let joined = join_traces::<_, _, _, _, JoinBuilder>(
        left.rows,
        right.rows,
        "Join",
        move |key, left, right, time, left_diff, right_diff, output: &mut JoinBuilder| {
            let Some(time) = bounds.advance(time) else { return };
            if check_null && has_null(key) {
                return;
            }
            if let Some(result) = evaluator.evaluate(&[left, right]) {
                output.push_into((result, time, left_diff * right_diff));
            }
        },
    );
    split(joined.as_collection())
}
