//! `SEARCH .. SET ..` and `CYCLE .. SET .. USING ..` of a recursive query.
//!
//! Both are further columns of it, as the SQL standard rewrites them (`c` are the columns that
//! the clause names, `r` is the reference to the query itself):
//!
//! ```text
//!                  non-recursive term        recursive term
//! DEPTH FIRST      ARRAY[ROW(c)]             r.sequence || ROW(c)
//! BREADTH FIRST    ROW(0, c)                 ROW(r.sequence's first field + 1, c)
//! CYCLE: mark      default                   value if ROW(c) is in r.path, else default
//!        path      ARRAY[ROW(c)]             r.path || ROW(c)
//! ```
//!
//! and rows that are marked are not followed. `*` in the recursive term does not mean the new
//! columns.

use sqlparser::ast::{
    BinaryOperator, Expr, Ident, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins,
};
use sqlparser::tokenizer::{Span, Token, TokenWithSpan, Tokenizer};
use tidemill_repr::{SqlError, SqlState};

use super::recursive::Terms;
use crate::ast::Statement;
use crate::parse::{expression, parse};
use crate::query::QueryContext;
use crate::query::error::name_of;

/// What the clauses of a query say.
#[derive(Debug, Default)]
pub(super) struct Clauses {
    search: Option<Search>,
    cycle: Option<Cycle>,
}

#[derive(Debug)]
struct Search {
    breadth: bool,
    by: Vec<String>,
    sequence: String,
}

#[derive(Debug)]
struct Cycle {
    columns: Vec<String>,
    mark: String,
    /// The texts of two constants.
    value: String,
    default: String,
    path: String,
}

/// A reading of the tokens of the clauses.
struct Reader {
    tokens: Vec<Token>,
    at: usize,
}

impl Reader {
    fn new(text: &str) -> Result<Reader, SqlError> {
        let dialect = sqlparser::dialect::PostgreSqlDialect {};
        let tokens: Vec<TokenWithSpan> = Tokenizer::new(&dialect, text)
            .tokenize_with_location()
            .map_err(|error| SqlError::internal(error.to_string()))?;
        let tokens = tokens
            .into_iter()
            .map(|token| token.token)
            .filter(|token| !matches!(token, Token::Whitespace(_)))
            .collect();
        Ok(Reader { tokens, at: 0 })
    }

    fn word(&mut self, expected: &str) -> bool {
        let found = matches!(self.tokens.get(self.at),
            Some(Token::Word(word)) if word.quote_style.is_none()
                && word.value.eq_ignore_ascii_case(expected));
        self.at += usize::from(found);
        found
    }

    fn name(&mut self) -> Result<String, SqlError> {
        let Some(Token::Word(word)) = self.tokens.get(self.at) else {
            return Err(SqlError::internal("a clause without a name"));
        };
        let name = match word.quote_style {
            None => word.value.to_lowercase(),
            Some(_) => word.value.clone(),
        };
        self.at += 1;
        Ok(name)
    }

    fn names(&mut self) -> Result<Vec<String>, SqlError> {
        let mut names = vec![self.name()?];
        while self.tokens.get(self.at) == Some(&Token::Comma) {
            self.at += 1;
            names.push(self.name()?);
        }
        Ok(names)
    }

    /// The text up to a word, which is taken.
    fn until(&mut self, word: &str) -> Result<String, SqlError> {
        let mut text = String::new();
        while !self.word(word) {
            let Some(token) = self.tokens.get(self.at) else {
                return Err(parse_error(word));
            };
            text.push_str(&token.to_string());
            text.push(' ');
            self.at += 1;
        }
        if text.is_empty() { Err(parse_error(word)) } else { Ok(text) }
    }
}

fn parse_error(word: &str) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, format!("syntax error at or near \"{word}\""))
}

fn syntax(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::SYNTAX_ERROR, message)
}

impl Clauses {
    /// Reads `SEARCH .. CYCLE ..`.
    pub(super) fn read(text: &str) -> Result<Clauses, SqlError> {
        let mut reader = Reader::new(text)?;
        let mut clauses = Clauses::default();
        if reader.word("search") {
            let breadth = reader.word("breadth");
            if !breadth {
                reader.word("depth");
            }
            reader.word("first");
            reader.word("by");
            let by = reader.names()?;
            reader.word("set");
            clauses.search = Some(Search { breadth, by, sequence: reader.name()? });
        }
        if reader.word("cycle") {
            let columns = reader.names()?;
            reader.word("set");
            let mark = reader.name()?;
            let (value, default) = match reader.word("to") {
                true => {
                    let value = reader.until("default")?;
                    (value, reader.until("using")?)
                }
                false => {
                    if !reader.word("using") {
                        return Err(parse_error("using"));
                    }
                    ("true".to_owned(), "false".to_owned())
                }
            };
            clauses.cycle = Some(Cycle { columns, mark, value, default, path: reader.name()? });
        }
        Ok(clauses)
    }

    /// The columns that the clauses add.
    pub(super) fn added(&self) -> Vec<String> {
        let search = self.search.iter().map(|search| search.sequence.clone());
        let cycle = self.cycle.iter().flat_map(|cycle| [cycle.mark.clone(), cycle.path.clone()]);
        search.chain(cycle).collect()
    }

    /// Refuses what makes no sense for a query of these columns.
    pub(super) fn check(&self, names: &[String]) -> Result<(), SqlError> {
        let used = |name: &str| names.iter().any(|known| known == name);
        let listed = |what: &str, columns: &[String]| {
            for (at, name) in columns.iter().enumerate() {
                if !used(name) {
                    let message = format!("{what} column \"{name}\" not in WITH query column list");
                    return Err(syntax(message));
                }
                if columns.iter().take(at).any(|other| other == name) {
                    let message = format!("{what} column \"{name}\" specified more than once");
                    return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
                }
            }
            Ok(())
        };
        let fresh = |what: &str, name: &str| match used(name) {
            false => Ok(()),
            true => Err(syntax(format!(
                "{what} column name \"{name}\" already used in WITH query column list"
            ))),
        };
        if let Some(search) = &self.search {
            listed("search", &search.by)?;
            fresh("search sequence", &search.sequence)?;
        }
        let Some(cycle) = &self.cycle else { return Ok(()) };
        listed("cycle", &cycle.columns)?;
        fresh("cycle mark", &cycle.mark)?;
        fresh("cycle path", &cycle.path)?;
        let same = |one: &str, two: &str| syntax(format!("{one} and {two} are the same"));
        if cycle.mark == cycle.path {
            return Err(same("cycle mark column name", "cycle path column name"));
        }
        if let Some(search) = &self.search {
            if search.sequence == cycle.mark {
                return Err(same("search sequence column name", "cycle mark column name"));
            }
            if search.sequence == cycle.path {
                return Err(same("search sequence column name", "cycle path column name"));
            }
        }
        Ok(())
    }

    /// The two terms with the new columns, of a query whose own columns are these.
    pub(super) fn rewrite(
        &self,
        ctx: &QueryContext<'_>,
        terms: &Terms<'_>,
        name: &str,
        names: &[String],
        span: Span,
    ) -> Result<(SetExpr, SetExpr), SqlError> {
        let side = |side: &str| {
            ctx.error(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "with a SEARCH or CYCLE clause, the {side} side of the UNION must be a SELECT"
                ),
                span,
            )
        };
        if !matches!(terms.first, SetExpr::Select(_) | SetExpr::Values(_)) {
            return Err(side("left"));
        }
        let SetExpr::Select(step) = terms.step else { return Err(side("right")) };
        let mut step = step.clone();
        let Some(reference) = reference(&step, name) else {
            return Err(ctx.error(
                SqlState::FEATURE_NOT_SUPPORTED,
                format!(
                    "with a SEARCH or CYCLE clause, the recursive reference to WITH query \
                     \"{name}\" must be at the top level of its right-hand SELECT"
                ),
                span,
            ));
        };
        self.pass_on(&mut step, &reference)?;
        let own: Vec<String> = (0..names.len()).map(|at| format!("c{at}")).collect();
        let row = |columns: &[String]| {
            let position = |name: &String| names.iter().position(|known| known == name);
            let columns: Vec<String> =
                columns.iter().filter_map(position).map(|at| format!("t.c{at}")).collect();
            columns.join(", ")
        };
        let outputs: Vec<String> = own.iter().map(|column| format!("t.{column}")).collect();
        let (mut first_outputs, mut step_outputs) = (outputs.clone(), outputs);
        let mut step_columns = own.clone();
        if let Some(search) = &self.search {
            step_columns.push("sequence".to_owned());
            let row = row(&search.by);
            if search.breadth {
                first_outputs.push(format!("ROW(0::int8, {row})"));
                step_outputs.push(format!("ROW((t.sequence).f1 + 1::int8, {row})"));
            } else {
                first_outputs.push(format!("ARRAY[ROW({row})]"));
                step_outputs.push(format!("array_append(t.sequence, ROW({row}))"));
            }
        }
        if let Some(cycle) = &self.cycle {
            step_columns.extend(["mark".to_owned(), "path".to_owned()]);
            let (row, value, default) = (row(&cycle.columns), &cycle.value, &cycle.default);
            let marked =
                |condition: &str| format!("CASE WHEN {condition} THEN {value} ELSE {default} END");
            first_outputs.extend([marked("false"), format!("ARRAY[ROW({row})]")]);
            let met = format!("ROW({row}) = ANY (t.path)");
            step_outputs.extend([marked(&met), format!("array_append(t.path, ROW({row}))")]);
        }
        let step = SetExpr::Select(step);
        Ok((
            around(terms.first, &first_outputs, &own)?,
            around(&step, &step_outputs, &step_columns)?,
        ))
    }

    /// Adds the new columns of the reference to the outputs of the recursive term, and follows
    /// only rows that are not marked.
    fn pass_on(&self, step: &mut Select, reference: &Ident) -> Result<(), SqlError> {
        let quoted = |name: &str| Ident::with_quote('"', name);
        let column = |name: &str| Expr::CompoundIdentifier(vec![reference.clone(), quoted(name)]);
        for name in self.added() {
            step.projection.push(SelectItem::UnnamedExpr(column(&name)));
        }
        let Some(cycle) = &self.cycle else { return Ok(()) };
        let open = Expr::BinaryOp {
            left: Box::new(column(&cycle.mark)),
            op: BinaryOperator::NotEq,
            right: Box::new(expression(&cycle.value)?),
        };
        step.selection = Some(match step.selection.take() {
            None => open,
            Some(condition) => Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(condition))),
                op: BinaryOperator::And,
                right: Box::new(open),
            },
        });
        Ok(())
    }
}

/// Under which name a SELECT reads the query.
fn reference(select: &Select, name: &str) -> Option<Ident> {
    fn within(tables: &TableWithJoins, name: &str) -> Option<Ident> {
        let factors =
            [&tables.relation].into_iter().chain(tables.joins.iter().map(|join| &join.relation));
        for factor in factors {
            let found = match factor {
                TableFactor::Table { name: table, alias, args: None, .. } => {
                    let itself = matches!(table.0.as_slice(), [part]
                        if part.as_ident().is_some_and(|ident| name_of(ident) == name));
                    itself.then(|| match alias {
                        Some(alias) => alias.name.clone(),
                        None => Ident::with_quote('"', name),
                    })
                }
                TableFactor::NestedJoin { table_with_joins, alias: None } => {
                    within(table_with_joins, name)
                }
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }
    select.from.iter().find_map(|tables| within(tables, name))
}

/// `SELECT outputs FROM (body) AS t (columns)`
fn around(body: &SetExpr, outputs: &[String], columns: &[String]) -> Result<SetExpr, SqlError> {
    let text =
        format!("SELECT {} FROM (SELECT 1) AS t ({})", outputs.join(", "), columns.join(", "));
    let broken = || SqlError::internal("a rewritten query that cannot be read");
    let Some(Statement::Query(statement)) = parse(&text)?.pop().map(|one| one.statement) else {
        return Err(broken());
    };
    let Query { body: outer, .. } = *statement.query;
    let mut outer = *outer;
    let SetExpr::Select(select) = &mut outer else { return Err(broken()) };
    match select.from.first_mut().map(|table| &mut table.relation) {
        Some(TableFactor::Derived { subquery, .. }) => {
            *subquery.body = body.clone();
            Ok(outer)
        }
        _ => Err(broken()),
    }
}
