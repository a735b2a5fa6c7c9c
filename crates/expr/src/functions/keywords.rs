//! Tables of the system that hold the same for everybody: `pg_get_keywords`, options as rows, the
//! partitions that no table here has.

use tidemill_repr::Datum;

use crate::functions::arguments::{array, text_elements};
use crate::functions::table::{Emitter, Tables};
use crate::table_function::TableEval;

/// A line `word category barelabel` each, as PostgreSQL's grammar has them.
const KEYWORDS: TableEval = |_, _, emit| {
    let mut out = Emitter::new(emit);
    for line in include_str!("keywords.txt").lines() {
        let mut parts = line.split(' ');
        let (Some(word), Some(category), Some(bare)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let described = match category {
            "U" => "unreserved",
            "C" => "unreserved (cannot be function or type name)",
            "T" => "reserved (can be function or type name)",
            _ => "reserved",
        };
        let bare = bare == "t";
        let label = if bare { "can be bare label" } else { "requires AS" };
        out.row([
            Datum::Text(word),
            Datum::Text(category),
            Datum::Bool(bare),
            Datum::Text(described),
            Datum::Text(label),
        ])?;
    }
    Ok(())
};

const OPTIONS: TableEval = |a, _, emit| {
    let mut out = Emitter::new(emit);
    for option in text_elements(array(a, 0)?).flatten() {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Datum::Text(value)),
            None => (option, Datum::Null),
        };
        out.row([Datum::Text(name), value])?;
    }
    Ok(())
};

/// No table here has partitions: PostgreSQL has no rows for such a table.
const NO_PARTITIONS: TableEval = |_, _, _| Ok(());

pub(super) fn define_tables(t: &mut Tables) {
    let doc = "The partitions of a table: no rows for a table without.";
    let signature = "pg_partition_tree(regclass) -> relid regclass, parentrelid regclass, \
                     isleaf bool, level int4";
    t.add("pg_partition_tree", signature, true, NO_PARTITIONS, doc);
    let doc = "The tables of which a table is a partition: no rows for one that is none.";
    let signature = "pg_partition_ancestors(regclass) -> relid regclass";
    t.add("pg_partition_ancestors", signature, true, NO_PARTITIONS, doc);
    let doc = "The words of SQL, and where they may be names.";
    let signature = "pg_get_keywords() -> word text, catcode char, barelabel bool, catdesc text, \
                     baredesc text";
    t.add("pg_get_keywords", signature, true, KEYWORDS, doc);
    let doc = "Options of the form name=value as rows.";
    let signature = "pg_options_to_table(text[]) -> option_name text, option_value text";
    t.add("pg_options_to_table", signature, true, OPTIONS, doc);
}
