//! ALTER TABLE of a table that follows a source: it takes on more of the upstream's columns, or
//! does without some.
//!
//! Another table with these columns is made beside it ([`crate::sources::altered`]). When that has
//! its content, it takes the place of the first: the second half of what is here.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{AlterTableOperation, ColumnDef, DataType, DropBehavior};
use tidemill_catalog::{Definition, Item, SourceTable, Table};
use tidemill_repr::{ObjectId, SqlError, SqlState};

use super::dependants::Successors;
use super::{Alteration, Dropped, new_item};
use crate::ast::NamedOption;
use crate::plan::{AlterFollowedPlan, AlterTablePlan, NewItem, Notice, Plan, Planned};
use crate::statements::copy::no_column;
use crate::statements::options::Options;
use crate::statements::table::build::PLAN_NUMBER;
use crate::statements::{Planning, command};

const TAG: &str = "ALTER TABLE";

/// What a statement asks for.
#[derive(Default)]
struct Asked {
    add: Vec<String>,
    drop: Vec<Dropped>,
    notices: Vec<Notice>,
}

fn refused(item: &Item) -> SqlError {
    SqlError::new(
        SqlState::WRONG_OBJECT_TYPE,
        format!("the columns of table \"{}\" cannot be altered in this way", item.name.item),
    )
    .with_detail("The table follows a source: its columns are those of the table upstream.")
    .with_hint(
        "ADD COLUMN takes on a column of the upstream's, by its name alone; DROP COLUMN does \
         without one.",
    )
}

impl Asked {
    fn add(
        &mut self,
        item: &Item,
        column: &ColumnDef,
        if_not_exists: bool,
    ) -> Result<(), SqlError> {
        let name = &column.name.value;
        if column.data_type != DataType::Unspecified || !column.options.is_empty() {
            return Err(refused(item).with_hint(format!(
                "Write ADD COLUMN {} alone: the type is that of the upstream's column.",
                column.name
            )));
        }
        let here = item.desc().and_then(|desc| desc.position(name));
        let goes = |position| self.drop.iter().any(|dropped| dropped.column == position);
        if here.is_none_or(goes) && !self.add.contains(name) {
            self.add.push(name.clone());
            return Ok(());
        }
        let message =
            format!("column \"{name}\" of relation \"{}\" already exists", item.name.item);
        if !if_not_exists {
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        self.notices.push(Notice::new(SqlState("00000"), format!("{message}, skipping")));
        Ok(())
    }

    fn drop(
        &mut self,
        item: &Item,
        name: &str,
        if_exists: bool,
        cascade: bool,
    ) -> Result<(), SqlError> {
        let gone = |column| self.drop.iter().any(|dropped| dropped.column == column);
        let found = item.desc().and_then(|desc| desc.position(name));
        if let Some(column) = found.filter(|column| !gone(*column)) {
            self.drop.push(Dropped { column, cascade });
            return Ok(());
        }
        let error = no_column(name, &item.name.item);
        if !if_exists {
            return Err(error);
        }
        let message = format!("{}, skipping", error.message);
        self.notices.push(Notice::new(SqlState("00000"), message));
        Ok(())
    }
}

fn read(item: &Item, actions: &[AlterTableOperation]) -> Result<Asked, SqlError> {
    let mut asked = Asked::default();
    let mut ordered: Vec<&AlterTableOperation> = actions.iter().collect();
    ordered.sort_by_key(|action| super::actions::pass(action));
    for action in ordered {
        match action {
            AlterTableOperation::AddColumn { if_not_exists, column_def, .. } => {
                asked.add(item, column_def, *if_not_exists)?;
            }
            AlterTableOperation::DropColumn { column_names, if_exists, drop_behavior, .. } => {
                let cascade = *drop_behavior == Some(DropBehavior::Cascade);
                for name in column_names {
                    asked.drop(item, &name.value, *if_exists, cascade)?;
                }
            }
            _ => return Err(refused(item)),
        }
    }
    Ok(asked)
}

impl<'a> Planning<'a> {
    pub(super) fn alter_followed(
        &self,
        item: &'a Item,
        table: &'a Table,
        (actions, with): (&[AlterTableOperation], &[NamedOption]),
    ) -> Result<Planned, SqlError> {
        let Asked { add, drop, notices } = read(item, actions)?;
        let mut options = Options::new("ALTER TABLE .. ADD COLUMN", with)?;
        let mut text = Vec::new();
        for name in options.name_list("TEXT COLUMNS")? {
            match <[String; 1]>::try_from(name) {
                Ok([name]) if add.contains(&name) => text.push(name),
                Ok([name]) => {
                    return Err(SqlError::new(
                        SqlState::UNDEFINED_COLUMN,
                        format!("option TEXT COLUMNS names column \"{name}\", which is not added"),
                    ));
                }
                Err(parts) => {
                    return Err(SqlError::new(
                        SqlState::INVALID_PARAMETER_VALUE,
                        format!("invalid column \"{}\" in option TEXT COLUMNS", parts.join(".")),
                    ));
                }
            }
        }
        options.finish()?;
        if add.is_empty() && drop.is_empty() {
            let mut planned = command(Plan::Nothing { tag: TAG });
            planned.notices = notices;
            return Ok(planned);
        }
        let left = table.desc.arity() - drop.len() + add.len();
        if left == 0 {
            return Err(SqlError::unsupported("a table of a source without columns"));
        }
        let mut alteration = Alteration::new(*self, item, table)?;
        alteration.notices = notices;
        alteration.dropped = drop;
        // What is in the way is found before anything is done.
        let mut drops = BTreeSet::new();
        alteration.dropped_dependants(&mut drops)?;
        if alteration.dropped.iter().any(|dropped| dropped.cascade) {
            alteration.notice_cascade(&drops);
        }
        let kept: Vec<usize> = (0..table.desc.arity())
            .filter(|column| alteration.dropped.iter().all(|dropped| dropped.column != *column))
            .collect();
        let succession = self.succession(item, (&kept, drops))?;
        let drop = alteration.dropped.iter().map(|one| (one.column, one.cascade)).collect();
        let plan = AlterFollowedPlan { table: item.id, kept, drop, add, text, succession };
        let mut planned = command(Plan::AlterFollowed(Box::new(plan)));
        planned.notices = alteration.notices;
        Ok(planned)
    }

    /// How the table that was made for it takes the place of a table, if there is one.
    fn succession(
        &self,
        item: &Item,
        (kept, drops): (&[usize], BTreeSet<ObjectId>),
    ) -> Result<Option<(ObjectId, AlterTablePlan)>, SqlError> {
        let planner = self.planner;
        let made_for = |other: &&std::sync::Arc<Item>| {
            let source = other.table().and_then(|table| table.source.as_ref());
            let succeeds = source.and_then(|source| source.succeeds.as_ref());
            succeeds.is_some_and(|succeeds| succeeds.table == item.id)
        };
        let made = planner.catalog.items().find(made_for);
        let mut successors = Successors::new(
            planner,
            item,
            true,
            drops,
            BTreeMap::new(),
            (PLAN_NUMBER, PLAN_NUMBER + 1),
        )?;
        let Some(made) = made else { return Ok(None) };
        let Some(Table { source: Some(source), .. }) = made.table() else {
            return Err(SqlError::internal("a table that follows no source"));
        };
        let mut new: NewItem = new_item(made);
        new.name = item.name.clone();
        new.create_sql = crate::sources::create_table_sql(planner.catalog, &item.name, source)?;
        if let Definition::Table(table) = &mut new.definition {
            table.source = Some(SourceTable { succeeds: None, ..source.clone() });
        }
        let positions: Vec<Option<usize>> = (0..item.desc().map_or(0, |desc| desc.arity()))
            .map(|column| kept.iter().position(|kept| *kept == column))
            .collect();
        let new = successors.put(ObjectId::User(PLAN_NUMBER), Some(item.id), new)?;
        successors.follow(&new, &positions)?;
        let plan = AlterTablePlan {
            number: PLAN_NUMBER,
            drops: successors.drops,
            items: successors.items,
            content: None,
            tag: TAG,
        };
        Ok(Some((made.id, plan)))
    }
}
