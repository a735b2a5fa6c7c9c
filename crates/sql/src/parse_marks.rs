//! Names by which the parser marks what sqlparser's tree has no place for. They begin with a
//! character that no name in a statement can have.

/// The function whose arguments are the items of GROUPING SETS.
pub(crate) const GROUPING_SETS: &str = "\0grouping sets";
/// The empty grouping set.
pub(crate) const EMPTY_SET: &str = "\0empty set";
/// The first item of GROUP BY DISTINCT.
pub(crate) const DISTINCT_SETS: &str = "\0distinct";
/// The function whose arguments are those of ROWS FROM.
pub(crate) const ROWS_FROM: &str = "\0rows from";
/// The name of a table with a list of columns alone.
pub(crate) const NO_ALIAS: &str = "\0";
/// What the name of the last column of USING begins with, if it is the alias of the columns.
pub(crate) const USING_ALIAS: &str = "\0using ";
/// The field that stands for all of them: `(x).*`.
pub(crate) const ALL_FIELDS: &str = "\0all";
/// What stands before the last argument of a call, if it is an array of arguments.
pub(crate) const VARIADIC: &str = "VARIADIC";
