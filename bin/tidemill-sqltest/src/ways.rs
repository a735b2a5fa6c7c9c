//! SQLite's files, run in more ways than one: a query as it stands, as an indexed view, and as a
//! materialized view that was there before the rows were.
//!
//! PostgreSQL runs the statements too. A record that it does not pass says nothing about
//! Tidemill and is left out, so that the files can be used as they are.

use std::time::Duration;

use anyhow::{Result, anyhow};
use sqllogictest::{Condition, Control, DefaultColumnType, QueryExpect, SortMode, StatementExpect};

use crate::mirror;
use crate::run::{Servers, TIDEMILL_LABELS, matches, same_lines};
use crate::script::{Record, Script, Step, skips};
use crate::session::{Failure, Outcome, Session};
use crate::values::Printing;

/// How the queries of a file are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Way {
    /// As they stand.
    Tables,
    /// And each as a view with an index.
    Views,
    /// And some as materialized views, made before the first row is written.
    Materialized,
}

/// After so many failures the rest of a file says nothing new.
const MAX_FAILURES: usize = 12;

/// How many queries of a file become materialized views.
const SAMPLE: usize = 20;

/// A query record.
struct Query {
    line: u32,
    sql: String,
    types: Vec<DefaultColumnType>,
    sort: SortMode,
    results: Vec<String>,
    view: Option<String>,
}

/// What a file asks for.
enum Action {
    /// A statement, and whether it must fail.
    Statement(u32, String, StatementExpect),
    /// A query, and what it gives.
    Query(Box<Query>),
}

/// The state of one file's run.
struct WayRun<'a> {
    name: &'a str,
    way: Way,
    ours: Session,
    theirs: Session,
    failures: Vec<String>,
    /// Queries whose results were checked.
    checked: usize,
    /// Records that PostgreSQL does not pass either.
    left_out: usize,
}

/// Runs a file; gives a line for each failure.
pub async fn run(
    servers: &Servers,
    script: &Script,
    name: &str,
    database: &str,
    way: Way,
) -> Result<Vec<String>> {
    let tidemill = servers.tidemill.as_ref().ok_or_else(|| anyhow!("needs a Tidemill"))?;
    let create = format!("CREATE DATABASE {database}");
    let admin = servers.postgres.session("postgres").await?;
    admin.run(&create).await.map_err(anyhow::Error::msg)?;
    let ours = {
        let server = tidemill.lock().await;
        let admin = server.session("materialize").await?;
        admin.run(&create).await.map_err(anyhow::Error::msg)?;
        server.session(database).await?
    };
    let theirs = servers.postgres.session(database).await?;
    let mut actions = actions(script);
    if way == Way::Materialized {
        definitions_first(&mut actions);
        choose_views(&mut actions);
    }
    let mut run = WayRun { name, way, ours, theirs, failures: Vec::new(), checked: 0, left_out: 0 };
    let mut pending = way == Way::Materialized;
    for position in 0..actions.len() {
        if run.failures.len() >= MAX_FAILURES {
            run.failures.push(format!("{name}: too many failures"));
            break;
        }
        if pending && !is_definition(&actions[position]) {
            pending = false;
            run.create_views(&mut actions).await;
        }
        match &actions[position] {
            Action::Statement(line, sql, expected) => run.statement(*line, sql, expected).await,
            Action::Query(query) => run.query(query).await,
        }
    }
    if run.left_out > run.checked {
        let (left_out, checked) = (run.left_out, run.checked);
        run.fail(0, &format!("PostgreSQL passes no more than {checked}, not {left_out}"));
    }
    Ok(run.failures)
}

/// The records that concern Tidemill, in order.
fn actions(script: &Script) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut default_sort = SortMode::NoSort;
    for step in &script.steps {
        let Step::Record(record, conditions) = step else { continue };
        match record.as_ref() {
            Record::Control(Control::SortMode(mode)) => default_sort = *mode,
            Record::Halt { .. } if !skips(conditions, TIDEMILL_LABELS) => break,
            record => actions.extend(action(record, conditions, default_sort)),
        }
    }
    actions
}

fn action(record: &Record, conditions: &[Condition], default_sort: SortMode) -> Option<Action> {
    if skips(conditions, TIDEMILL_LABELS) {
        return None;
    }
    match record {
        Record::Statement { loc, sql, expected, .. } => {
            Some(Action::Statement(loc.line(), sql.clone(), expected.clone()))
        }
        Record::Query { loc, sql, expected, .. } => match expected {
            QueryExpect::Results { types, sort_mode, results, .. } => {
                Some(Action::Query(Box::new(Query {
                    line: loc.line(),
                    sql: sql.clone(),
                    types: types.clone(),
                    sort: sort_mode.unwrap_or(default_sort),
                    results: results.clone(),
                    view: None,
                })))
            }
            QueryExpect::Error(error) => Some(Action::Statement(
                loc.line(),
                sql.clone(),
                StatementExpect::Error(error.clone()),
            )),
        },
        _ => None,
    }
}

fn is_definition(action: &Action) -> bool {
    let Action::Statement(_, sql, expected) = action else { return false };
    let text = sql.trim_start().to_uppercase();
    text.starts_with("CREATE") && !matches!(expected, StatementExpect::Error(_))
}

/// Up to the first query, statements that create come before those that write.
fn definitions_first(actions: &mut [Action]) {
    let first_query = actions.iter().position(|action| matches!(action, Action::Query(_)));
    let head = &mut actions[..first_query.unwrap_or(0)];
    head.sort_by_key(|action| !is_definition(action));
}

/// Spreads the views over the file, as far as its tables live.
fn choose_views(actions: &mut [Action]) {
    let first_drop = actions.iter().position(|action| match action {
        Action::Statement(_, sql, _) => sql.trim_start().to_uppercase().starts_with("DROP TABLE"),
        Action::Query(_) => false,
    });
    let end = first_drop.unwrap_or(actions.len());
    let actions = &mut actions[..end];
    let queries = actions.iter().filter(|action| matches!(action, Action::Query(_))).count();
    let step = queries.div_ceil(SAMPLE).max(1);
    let queries = actions.iter_mut().filter_map(|action| match action {
        Action::Query(query) => Some(query),
        Action::Statement(..) => None,
    });
    for (number, query) in queries.enumerate().filter(|(number, _)| number % step == 0) {
        query.view = Some(format!("way_{number}"));
    }
}

fn columns(types: &[DefaultColumnType]) -> String {
    let names: Vec<String> = (1..=types.len()).map(|number| format!("c{number}")).collect();
    names.join(", ")
}

impl WayRun<'_> {
    fn fail(&mut self, line: u32, message: &str) {
        let message = message.replace('\n', " \u{21b5} ");
        self.failures.push(format!("{}:{line}: ({:?}) {message}", self.name, self.way));
    }

    /// Creates the chosen views; a query over what is not there yet gets none.
    async fn create_views(&mut self, actions: &mut [Action]) {
        for action in actions {
            let Action::Query(query) = action else { continue };
            let Some(view) = &query.view else { continue };
            let columns = columns(&query.types);
            let create = format!("CREATE MATERIALIZED VIEW {view} ({columns}) AS {}", query.sql);
            match self.ours.run(&create).await {
                Ok(_) => {}
                Err(failure) => {
                    let planned = self.theirs.run(&format!("EXPLAIN {}", query.sql)).await;
                    if planned.is_ok() {
                        let (line, message) = (query.line, format!("{failure} | {create}"));
                        self.fail(line, &message);
                    }
                    query.view = None;
                }
            }
        }
    }

    async fn statement(&mut self, line: u32, sql: &str, expected: &StatementExpect) {
        let drops = sql.trim_start().to_uppercase().starts_with("DROP");
        let here = mirror::without_keys(sql);
        let theirs = self.theirs.run(sql).await;
        let mut ours = self.ours.run(&here).await;
        // The views that maintain the file's queries are in the way of nothing.
        let in_the_way = ours.as_ref().is_err_and(|failure| failure.to_string().contains("2BP01"));
        if drops && in_the_way && theirs.is_ok() && self.way == Way::Materialized {
            ours = self.ours.run(&format!("{here} CASCADE")).await;
        }
        let passes = |result: &Result<Outcome, Failure>| match (result, expected) {
            (Ok(_), StatementExpect::Error(_)) => false,
            (Ok(_), _) => true,
            (Err(failure), StatementExpect::Error(wanted)) => matches(wanted, failure),
            (Err(_), _) => false,
        };
        if passes(&ours) {
            return;
        }
        self.left_out += 1;
        if passes(&theirs) {
            let outcome = ours.err().map_or("no error".to_owned(), |failure| failure.to_string());
            self.fail(line, &format!("{outcome} | {here}"));
        }
    }

    async fn query(&mut self, query: &Query) {
        let ours = self.ours.run(&query.sql).await;
        if let Err(message) = check(query, &ours) {
            let theirs = self.theirs.run(&query.sql).await;
            self.left_out += 1;
            if check(query, &theirs).is_ok() {
                self.fail(query.line, &message);
            }
            return;
        }
        self.checked += 1;
        let Ok(direct) = ours else { return };
        let Some(maintained) = self.maintained(query).await else { return };
        match maintained {
            Ok(outcome) if sorted(&outcome) == sorted(&direct) => {}
            Ok(outcome) => {
                let (wanted, given) = (sorted(&direct), sorted(&outcome));
                let message = format!("asked {wanted:?} maintained {given:?} | {}", query.sql);
                self.fail(query.line, &message);
            }
            Err(failure) => self.fail(query.line, &format!("{failure} | {}", query.sql)),
        }
    }

    /// The query's rows in the way that is not asking for it.
    async fn maintained(&mut self, query: &Query) -> Option<Result<Outcome, Failure>> {
        match self.way {
            Way::Tables => None,
            Way::Views => Some(self.as_view(query).await),
            Way::Materialized => {
                let view = query.view.as_ref()?;
                Some(self.ours.run(&format!("SELECT * FROM {view}")).await)
            }
        }
    }

    async fn as_view(&mut self, query: &Query) -> Result<Outcome, Failure> {
        let columns = columns(&query.types);
        self.ours.run(&format!("CREATE VIEW way ({columns}) AS {}", query.sql)).await?;
        let rows = async {
            self.ours.run("CREATE DEFAULT INDEX ON way").await?;
            self.ours.run("SELECT * FROM way").await
        };
        let rows = rows.await;
        self.ours.run("DROP VIEW way CASCADE").await?;
        rows
    }
}

fn check(query: &Query, result: &Result<Outcome, Failure>) -> Result<(), String> {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(failure) => return Err(format!("{failure} | {}", query.sql)),
    };
    let results = query.results.as_slice();
    let hashed = matches!(results, [line] if line.contains(" values hashing to "));
    let printing = Printing { types: &query.types, sort: query.sort, typed: true, hashed };
    let lines = printing.lines(outcome);
    if same_lines(&lines, results, true) {
        return Ok(());
    }
    Err(format!("expected {results:?} actual {lines:?} | {}", query.sql))
}

fn sorted(outcome: &Outcome) -> Vec<Vec<Option<String>>> {
    let mut rows = outcome.rows.clone();
    rows.sort();
    rows
}

/// How long a file may take in one way, as a multiple of what other files may.
pub const TIME: u32 = 20;

/// The limit of a file in one way.
pub fn limit(seconds: u64) -> Duration {
    Duration::from_secs(seconds) * TIME
}
