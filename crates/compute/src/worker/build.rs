//! Builds a dataflow from its description: imports, objects, exports.

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::input::InputSession;
use tidemill_plan::Id;
use tidemill_plan::physical::{DataflowDescription, Export, IndexImport};
use tidemill_repr::{ObjectId, Row};
use timely::dataflow::Scope;
use timely::worker::Worker;

use crate::render::bundle::{ArrangedRows, Arrangement, Bundle, arrange, read_spans};
use crate::render::errors::{decode_error, encode_error};
use crate::render::{Bounds, Context, subscribe};
use crate::typedefs::Time;
use crate::worker::Outlets;
use crate::worker::dataflow::{BaseInput, Dataflow, ExportedIndex};

/// A dataflow, and the indexes it exports.
pub type Built = (Dataflow, BTreeMap<ObjectId, ExportedIndex>);

/// Builds a dataflow on this worker.
pub fn build(
    worker: &mut Worker,
    description: &DataflowDescription,
    outlets: &Arc<Outlets>,
    indexes: &mut BTreeMap<ObjectId, ExportedIndex>,
) -> Built {
    let name = format!("dataflow {}", description.id);
    let timely_index = worker.next_dataflow_index();
    worker.dataflow_named::<Time, _, _>(&name, |scope| {
        let mut dataflow = Dataflow {
            id: description.id,
            timely_index,
            as_of: description.as_of,
            target: description.as_of.next().0,
            inputs: BTreeMap::new(),
            indexes: Vec::new(),
            subscribers: Vec::new(),
            bases: description.moved_by(),
            follows_time: description.follows_time(),
            upstream: Default::default(),
            imports: Vec::new(),
        };
        let bounds =
            Bounds { as_of: description.as_of.0, until: description.until.map(|until| until.0) };
        let mut context = Context { scope, level: 0, bounds, bindings: BTreeMap::new() };
        for import in &description.base_imports {
            let (mut input, bundle) = import_base(scope, bounds.as_of);
            input.followed = description.followed.contains(&import.id).then_some(bounds.as_of);
            dataflow.inputs.insert(import.id, input);
            context.bindings.insert(Id::Global(import.id), bundle);
        }
        for import in &description.index_imports {
            import_index(&mut context, import, indexes, &mut dataflow);
        }
        for (id, plan) in &description.objects {
            let bundle = context.render(plan);
            context.bindings.insert(Id::Global(*id), bundle);
        }
        let mut exported = BTreeMap::new();
        for export in &description.exports {
            if let Some((id, index)) = render_export(&context, export, outlets, &mut dataflow) {
                dataflow.indexes.push(id);
                exported.insert(id, index);
            }
        }
        (dataflow, exported)
    })
}

fn import_base<'scope>(scope: Scope<'scope, Time>, as_of: Time) -> (BaseInput, Bundle<'scope>) {
    let mut rows = InputSession::new();
    let mut errors = InputSession::new();
    let bundle = Bundle::from_stream(rows.to_collection(scope), errors.to_collection(scope));
    rows.advance_to(as_of);
    errors.advance_to(as_of);
    rows.flush();
    errors.flush();
    (BaseInput { rows, errors, hydrated: false, followed: None }, bundle)
}

fn import_index(
    context: &mut Context<'_>,
    import: &IndexImport,
    indexes: &mut BTreeMap<ObjectId, ExportedIndex>,
    dataflow: &mut Dataflow,
) {
    let Some(exported) = indexes.get_mut(&import.index) else {
        tracing::error!(index = %import.index, "an imported index is not there");
        return;
    };
    let scope = context.scope;
    let (rows, button) = exported.rows.import_core(scope, "ImportIndex");
    dataflow.imports.push(button);
    let (errors, button) = exported.errors.import_core(scope, "ImportErrors");
    dataflow.imports.push(button);
    let (_, errors) = read_spans(errors.stream, "Errors", None, context.bounds, |key, _, emit| {
        emit(Err::<Row, _>(decode_error(key)));
    });
    let rows = ArrangedRows::Own(rows);
    let arrangement = Arrangement { key: import.key.clone(), rows, errors, imported: true };
    let on = Id::Global(import.on);
    let bundle = context.bindings.entry(on);
    let empty = Bundle { stream: None, arrangements: Vec::new() };
    bundle.or_insert(empty).arrangements.push(arrangement);
}

fn render_export(
    context: &Context<'_>,
    export: &Export,
    outlets: &Arc<Outlets>,
    dataflow: &mut Dataflow,
) -> Option<(ObjectId, ExportedIndex)> {
    match export {
        Export::Index { id, on, key, .. } => {
            let bundle = context.bound(*on);
            let shared = outlets.indexes.get(id)?;
            let own = bundle.arrangement(key).filter(|arrangement| !arrangement.imported);
            let arrangement = match own {
                Some(arrangement) => arrangement.clone(),
                None => context.arrange_anew(&bundle, key),
            };
            let errors = arrangement.errors.map(|error| (encode_error(&error), Row::default()));
            let errors = arrange(errors, "Arrange: errors");
            let as_of = context.bounds.as_of;
            let ArrangedRows::Own(rows) = arrangement.rows else { return None };
            let (rows, errors) = (rows.trace, errors.trace);
            Some((*id, ExportedIndex::new(dataflow.id, rows, errors, Arc::clone(shared), as_of)))
        }
        Export::Subscribe { id, on, snapshot } => {
            let stream = context.stream_of(&context.bound(*on));
            let collector = subscribe::collector(*id, context.scope.peers());
            let here = collector == context.scope.index();
            let sender = here.then(|| outlets.subscriptions.lock().remove(id)).flatten();
            dataflow.subscribers.extend(sender.as_ref().map(|sender| sender.downgrade()));
            subscribe::render(stream, *id, *snapshot, context.bounds, sender);
            None
        }
    }
}
