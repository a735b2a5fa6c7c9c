//! Enums that get more labels upstream. The stream does not tell: it brings a label that nobody
//! knows here, and then, or when the upstream's catalog is looked at, the labels are asked for.

use tidemill_repr::{EnumType, ObjectId, ScalarType, SqlError};

use super::connection::SourceError;
use super::follower::Follower;
use super::source::TableConfig;
use super::table::{table_error, upstream_column};

fn enum_of(typ: &ScalarType) -> Option<&EnumType> {
    match typ {
        ScalarType::Enum(found) => Some(found),
        _ => None,
    }
}

/// The columns of a table that are enums here, or arrays of enums: which, the enum, and the type upstream.
fn enums(config: &TableConfig) -> Vec<(usize, &EnumType, u32)> {
    let columns = config.columns.iter().enumerate();
    columns
        .filter_map(|(index, column)| match &column.typ.scalar_type {
            typ if !column.as_text => {
                let here = match typ {
                    ScalarType::Array(element) => enum_of(element)?,
                    typ => enum_of(typ)?,
                };
                let upstream = upstream_column(config, column.attnum).ok()?;
                let oid = upstream.element_oid.unwrap_or(upstream.base_type_oid);
                Some((index, here, oid.0))
            }
            _ => None,
        })
        .collect()
}

/// What upstream labels mean for an enum here.
#[derive(Debug, PartialEq, Eq)]
enum Labels {
    Same,
    More,
    /// This one has another name now. Rows that hold it say nothing of that.
    Renamed(String),
}

fn compare(here: &EnumType, upstream: &[String]) -> Labels {
    if upstream.iter().all(|label| here.order_of(label).is_some()) {
        return Labels::Same;
    }
    let gone = here.labels.iter().find(|(_, label)| !upstream.contains(label));
    gone.map_or(Labels::More, |(_, label)| Labels::Renamed(label.clone()))
}

impl Follower {
    /// Whether a table has columns that are enums here.
    pub(super) fn has_enums(&self, table: ObjectId) -> bool {
        self.configs(&[table]).iter().any(|config| !enums(config).is_empty())
    }

    /// Gives the enums of these tables the labels that they got upstream. Gives the tables for
    /// which that cannot be done.
    pub(super) async fn learn_labels(
        &mut self,
        tables: &[ObjectId],
    ) -> Result<Vec<(ObjectId, SqlError)>, SourceError> {
        let configs: Vec<TableConfig> = self.configs(tables);
        let mut wanted: Vec<u32> =
            configs.iter().flat_map(enums).map(|(_, _, upstream)| upstream).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let found = self.watch().labels(&wanted).await?;
        let mut refused = Vec::new();
        for config in &configs {
            for (column, here, upstream) in enums(config) {
                let Some(labels) = found.get(&upstream) else { continue };
                let learned = match compare(here, labels) {
                    Labels::Same => continue,
                    Labels::More => self.sink().enum_labels(config.id, column, labels).await,
                    Labels::Renamed(label) => {
                        let what = format!(
                            "label \"{label}\" of enum \"{}\" was renamed upstream",
                            here.name.name
                        );
                        Err(table_error(config, &what).with_hint(
                            "Give the label its name back upstream and run ALTER TABLE .. RESYNC, \
                             or drop table and type here and create the table again.",
                        ))
                    }
                };
                match learned {
                    Ok(typ) => self.set_type(config.id, column, typ),
                    Err(error) => {
                        refused.push((config.id, error));
                        break;
                    }
                }
            }
        }
        Ok(refused)
    }
}

#[cfg(test)]
mod tests {
    use tidemill_repr::{Oid, TypeName};

    use super::*;

    #[test]
    fn a_label_that_is_gone_beside_a_new_one_was_renamed() {
        let name = TypeName {
            oid: Oid(1),
            array_oid: Oid(2),
            schema: "public".to_owned(),
            name: "mood".to_owned(),
        };
        let labels = vec![(1, "sad".to_owned()), (2, "ok".to_owned())];
        let here = EnumType { name, labels };
        let compare = |labels: &[&str]| {
            let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
            compare(&here, &labels)
        };
        assert_eq!(compare(&["sad", "ok"]), Labels::Same);
        assert_eq!(compare(&["sad"]), Labels::Same);
        assert_eq!(compare(&["sad", "fine", "ok"]), Labels::More);
        assert_eq!(compare(&["sad", "fine"]), Labels::Renamed("ok".to_owned()));
    }
}
