//! The plan of a SUBSCRIBE: what is followed, and what the rows look like.

use tidemill_plan::{ColumnOrder, QueryExpr};
use tidemill_repr::{Column, ColumnType, RelationDesc, ScalarType, Tick};

use super::AsOfTick;

/// SUBSCRIBE. Its rows are (`mz_timestamp`, `mz_progressed` with PROGRESS, then what
/// [`SubscribeForm`] says).
#[derive(Clone, Debug)]
pub struct SubscribePlan {
    /// What is followed.
    pub query: QueryExpr,
    /// Its columns, without the first ones of SUBSCRIBE.
    pub desc: RelationDesc,
    /// What the changes of one moment look like.
    pub form: SubscribeForm,
    /// Whether the content at the beginning is given first.
    pub snapshot: bool,
    /// Whether progress is told.
    pub progress: bool,
    /// From when; None: now.
    pub as_of: Option<AsOfTick>,
    /// Until when, that tick left out.
    pub up_to: Option<Tick>,
}

/// What the changes of one moment look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubscribeForm {
    /// (`mz_diff`, columns), in this order of these columns.
    Diffs(Vec<ColumnOrder>),
    /// (`mz_state`, columns of the key, other columns): the new row of a key.
    Upsert(SubscribeKey),
    /// (`mz_state`, columns of the key, other columns before, other columns after): the old and
    /// the new row of a key.
    Debezium(SubscribeKey),
}

/// The columns of a relation in two parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeKey {
    /// Those of the key.
    pub key: Vec<usize>,
    /// The others.
    pub others: Vec<usize>,
}

impl SubscribePlan {
    /// The columns that a client sees.
    pub fn output_desc(&self) -> RelationDesc {
        let column = |name: &str, typ: ScalarType, nullable: bool| Column {
            name: name.to_owned(),
            typ: ColumnType::new(typ).nullable(nullable),
        };
        let mut columns = vec![column("mz_timestamp", ScalarType::Numeric, false)];
        if self.progress {
            columns.push(column("mz_progressed", ScalarType::Bool, false));
        }
        // A progress row has neither diff nor values.
        let own = |position: &usize, before: &str, nullable: bool| {
            let mut column = self.desc.columns.get(*position)?.clone();
            column.name.insert_str(0, before);
            column.typ.nullable |= self.progress || nullable;
            Some(column)
        };
        match &self.form {
            SubscribeForm::Diffs(_) => {
                columns.push(column("mz_diff", ScalarType::Int8, self.progress));
                columns.extend((0..self.desc.arity()).filter_map(|at| own(&at, "", false)));
            }
            SubscribeForm::Upsert(SubscribeKey { key, others }) => {
                columns.push(column("mz_state", ScalarType::Text, self.progress));
                columns.extend(key.iter().filter_map(|at| own(at, "", false)));
                columns.extend(others.iter().filter_map(|at| own(at, "", true)));
            }
            SubscribeForm::Debezium(SubscribeKey { key, others }) => {
                columns.push(column("mz_state", ScalarType::Text, self.progress));
                columns.extend(key.iter().filter_map(|at| own(at, "", false)));
                columns.extend(others.iter().filter_map(|at| own(at, "before_", true)));
                columns.extend(others.iter().filter_map(|at| own(at, "after_", true)));
            }
        }
        RelationDesc { columns, ..RelationDesc::default() }
    }
}
