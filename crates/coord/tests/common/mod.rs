//! Statements in, rows out, without a wire.

use std::path::Path;

use tidemill_coord::{Coordinator, Options, Response, Session, SessionOptions};
use tidemill_repr::SqlError;

pub async fn open(directory: &Path) -> Coordinator {
    Coordinator::open(Options { data_dir: directory.to_owned(), workers: 1 }).await.unwrap()
}

pub fn session(coordinator: &Coordinator) -> Session {
    coordinator.session(SessionOptions {
        user: "materialize".to_owned(),
        database: "materialize".to_owned(),
        ..SessionOptions::default()
    })
}

/// Runs statements; gives the rows of the last one, each as its datums' debug text.
pub async fn run(session: &mut Session, text: &str) -> Result<Vec<String>, SqlError> {
    let mut rows = Vec::new();
    for statement in session.parse(text)? {
        rows.clear();
        let prepared = match session.prepare(Some(statement), &[]) {
            Ok(prepared) => prepared,
            Err(error) => {
                session.fail();
                return Err(error);
            }
        };
        if let Response::Rows(mut response) = session.execute(&prepared, &[]).await? {
            while let Some(piece) = response.next(100).await? {
                rows.extend(piece.iter().map(|row| format!("{row:?}")));
                if response.is_live() {
                    break;
                }
            }
        }
    }
    Ok(rows)
}
