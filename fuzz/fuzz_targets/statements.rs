//! SQL text: the parser and the planner must answer or refuse, on any text.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tidemill_catalog::{Catalog, builtin};
use tidemill_sql::{SessionView, parse, plan};

fn catalog() -> &'static Catalog {
    static CATALOG: OnceLock<Catalog> = OnceLock::new();
    CATALOG.get_or_init(|| Catalog::empty().apply(&builtin::changes()).expect("built-in relations"))
}

fuzz_target!(|text: &str| {
    let Ok(statements) = parse(text) else { return };
    let search_path = ["public".to_owned()];
    let session = SessionView {
        settings: &(),
        database: "materialize",
        search_path: &search_path,
        user: "materialize",
        session_user: "materialize",
        time_zone: "UTC",
        now: 0,
        cluster: "quickstart",
        backend_pid: 1,
    };
    for statement in &statements {
        let _ = plan(catalog(), &session, statement, &[]);
        // What is shown of a statement must be readable again.
        let shown = statement.to_string();
        assert!(parse(&shown).is_ok(), "{shown}");
    }
});
