//! The list of all settings: one definition each.

/// How a setting's values are checked and shown.
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A boolean, shown as `on` or `off`.
    Bool,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number in this range.
    Integer(i64, i64),
    /// Any number.
    Number,
    /// A time span; milliseconds where there is no unit.
    Milliseconds,
    /// An amount of memory; this many bytes where there is no unit.
    Memory(u64),
    /// A position in the log of an upstream; empty for none.
    Lsn,
    /// A time zone.
    TimeZone,
    /// A style and an order of dates.
    DateStyle,
    /// A list of names.
    Names,
    /// Only this value, whatever is set: clients expect to be able to set it.
    Fixed(&'static [&'static str]),
    /// Cannot be set.
    ReadOnly,
    /// Set for the whole server, by ALTER SYSTEM.
    System(&'static Kind),
    /// Who the session is: set by statements of its own, which ask first.
    Identity,
}

/// A setting.
pub(super) struct Setting {
    pub name: &'static str,
    pub default: &'static str,
    pub kind: Kind,
    /// Whether clients are told of each change (`ParameterStatus`).
    pub reported: bool,
    /// Whether it changes nothing here: clients of PostgreSQL set it, and are told so.
    pub without_effect: bool,
    pub doc: &'static str,
}

const fn setting(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Setting {
    Setting { name, default, kind, reported: false, without_effect: false, doc }
}

const fn reported(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Setting {
    Setting { name, default, kind, reported: true, without_effect: false, doc }
}

const fn ignored(
    name: &'static str,
    default: &'static str,
    kind: Kind,
    doc: &'static str,
) -> Setting {
    Setting { name, default, kind, reported: false, without_effect: true, doc }
}

/// PostgreSQL's `server_version` that clients see.
pub const SERVER_VERSION: &str = "17.0";

/// The version that clients made for Materialize ask for: they compare the number.
pub const MZ_VERSION: &str = concat!("v0.147.0 (Tidemill ", env!("CARGO_PKG_VERSION"), ")");

const ISOLATION: Kind = Kind::Word(&[
    "strict serializable",
    "serializable",
    "repeatable read",
    "read committed",
    "read uncommitted",
]);

const SEVERITIES: Kind = Kind::Word(&[
    "debug5", "debug4", "debug3", "debug2", "debug1", "debug", "log", "notice", "warning", "error",
]);

/// The settings that do something, or say something; in order of their names.
pub(super) const SETTINGS: &[Setting] = &[
    reported("application_name", "", Kind::Text, "The name of the client."),
    setting("bytea_output", "hex", Kind::Word(&["hex", "escape"]), "How bytea is shown."),
    reported(
        "client_encoding",
        "UTF8",
        Kind::Fixed(&["UTF8", "utf8", "UTF-8", "utf-8", "unicode"]),
        "The client's character set.",
    ),
    setting("client_min_messages", "notice", SEVERITIES, "The least severity of messages sent."),
    setting("cluster", "quickstart", Kind::Text, "The cluster that answers queries."),
    reported(
        "datestyle",
        "ISO, MDY",
        Kind::DateStyle,
        "How dates are shown, and in which order their parts are read.",
    ),
    setting(
        "default_transaction_isolation",
        "strict serializable",
        ISOLATION,
        "The isolation of new transactions; all levels are served as the strongest.",
    ),
    reported(
        "default_transaction_read_only",
        "off",
        Kind::Bool,
        "Whether new transactions refuse writes.",
    ),
    setting(
        "emit_timestamp_notice",
        "off",
        Kind::Bool,
        "Whether each query tells the tick it was answered at.",
    ),
    setting(
        "extra_float_digits",
        "1",
        Kind::Integer(-15, 3),
        "Digits of floats beyond the usual; values above 0 give the shortest exact text.",
    ),
    setting(
        "idle_in_transaction_session_timeout",
        "2min",
        Kind::Milliseconds,
        "How long a transaction may be idle.",
    ),
    setting(
        "idle_session_timeout",
        "0",
        Kind::Milliseconds,
        "How long a session may be idle outside a transaction; 0 is for ever.",
    ),
    reported("in_hot_standby", "off", Kind::ReadOnly, "Always off."),
    reported("integer_datetimes", "on", Kind::ReadOnly, "Always on."),
    reported(
        "intervalstyle",
        "postgres",
        Kind::Word(&["postgres", "postgres_verbose", "sql_standard", "iso_8601"]),
        "How intervals are shown.",
    ),
    reported("is_superuser", "off", Kind::ReadOnly, "Whether the user is a superuser."),
    setting(
        "max_connections",
        "1000",
        Kind::System(&Kind::Integer(1, 1_000_000)),
        "How many sessions there may be at once.",
    ),
    setting("max_index_keys", "32", Kind::ReadOnly, "Columns of an index that drivers allow for."),
    setting("max_identifier_length", "255", Kind::ReadOnly, "Bytes of the longest name."),
    setting(
        "max_query_result_size",
        "1GB",
        Kind::Memory(1),
        "How large the rows of one query may be together.",
    ),
    reported(
        "mz_version",
        MZ_VERSION,
        Kind::ReadOnly,
        "The version whose behaviour clients may assume.",
    ),
    setting(
        "network_policy",
        "default",
        Kind::System(&Kind::Text),
        "The network policy that says who may connect from where; default: all may.",
    ),
    setting(
        "real_time_recency",
        "off",
        Kind::Bool,
        "Whether a query waits until it sees what its upstreams had committed when it began.",
    ),
    setting(
        "real_time_recency_timeout",
        "10s",
        Kind::Milliseconds,
        "How long such a query waits for that; 0 is for ever.",
    ),
    setting("role", "none", Kind::Identity, "The role that the session acts as."),
    reported("scram_iterations", "4096", Kind::ReadOnly, "Rounds of new password verifiers."),
    reported("search_path", "public", Kind::Names, "Where names without schema are looked up."),
    reported("server_encoding", "UTF8", Kind::ReadOnly, "The server's character set."),
    reported(
        "server_version",
        SERVER_VERSION,
        Kind::ReadOnly,
        "The PostgreSQL version clients may assume.",
    ),
    setting("server_version_num", "170000", Kind::ReadOnly, "The same, as a number."),
    reported("session_authorization", "", Kind::Identity, "The user of the session."),
    reported("standard_conforming_strings", "on", Kind::Fixed(&["on", "true"]), "Always on."),
    setting(
        "statement_timeout",
        "0",
        Kind::Milliseconds,
        "How long a statement may take; 0 is for ever.",
    ),
    setting("synchronous_commit", "on", Kind::Fixed(&["on"]), "Always on."),
    setting(
        "tidemill.wait_for_lsn",
        "",
        Kind::Lsn,
        "A position that the sources of a query must have reached before it is answered.",
    ),
    setting(
        "tidemill.wait_for_lsn_timeout",
        "10s",
        Kind::Milliseconds,
        "How long a query waits for that; 0 is for ever.",
    ),
    reported("timezone", "UTC", Kind::TimeZone, "The session's time zone."),
    setting(
        "transaction_isolation",
        "strict serializable",
        ISOLATION,
        "The isolation of transactions; all levels are served as the strongest.",
    ),
    setting("transaction_read_only", "off", Kind::Bool, "Whether the transaction refuses writes."),
    setting(
        "transaction_timeout",
        "0",
        Kind::Milliseconds,
        "How long a transaction may take; 0 is for ever.",
    ),
];

/// What clients of PostgreSQL and of Materialize set, and what changes nothing here.
pub(super) const IGNORED: &[Setting] = &[
    ignored("array_nulls", "on", Kind::Bool, "Always on."),
    ignored("auto_route_catalog_queries", "on", Kind::Bool, "These queries need no cluster."),
    ignored("backslash_quote", "safe_encoding", Kind::Text, "Quotes are doubled."),
    ignored("check_function_bodies", "on", Kind::Bool, "There are no such functions."),
    ignored("constraint_exclusion", "partition", Kind::Text, "There are no partitions."),
    ignored("current_object_missing_warnings", "on", Kind::Bool, "There are no such warnings."),
    ignored("cursor_tuple_fraction", "0.1", Kind::Number, "Cursors compute all their rows."),
    ignored("deadlock_timeout", "1s", Kind::Milliseconds, "There are no locks."),
    ignored("default_statistics_target", "100", Kind::Number, "There are no statistics."),
    ignored("default_table_access_method", "heap", Kind::Text, "There is one kind of table."),
    ignored("default_tablespace", "", Kind::Text, "There are no tablespaces."),
    ignored("default_transaction_deferrable", "off", Kind::Bool, "No transaction waits."),
    ignored("effective_cache_size", "4GB", Kind::Memory(8192), "Plans do not depend on it."),
    ignored("emit_plan_insights_notice", "off", Kind::Bool, "There are no such notices."),
    ignored("emit_trace_id_notice", "off", Kind::Bool, "There are no such notices."),
    ignored("enable_bitmapscan", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("enable_hashagg", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("enable_hashjoin", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("enable_indexonlyscan", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("enable_indexscan", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("enable_material", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("enable_mergejoin", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("enable_nestloop", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("enable_partitionwise_join", "off", Kind::Bool, "Plans do not depend on it."),
    ignored("enable_seqscan", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("enable_session_rbac_checks", "off", Kind::Bool, "Privileges are always checked."),
    ignored("enable_sort", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("escape_string_warning", "on", Kind::Bool, "There are no such warnings."),
    ignored("force_parallel_mode", "off", Kind::Text, "Plans do not depend on it."),
    ignored("from_collapse_limit", "8", Kind::Number, "Plans do not depend on it."),
    ignored("geqo", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("gin_fuzzy_search_limit", "0", Kind::Number, "There are no such indexes."),
    ignored("jit", "on", Kind::Bool, "Nothing is compiled."),
    ignored("join_collapse_limit", "8", Kind::Number, "Plans do not depend on it."),
    ignored("lc_messages", "C", Kind::Text, "Messages are English."),
    ignored("lc_monetary", "C", Kind::Text, "Money is shown as in the locale C."),
    ignored("lc_numeric", "C", Kind::Text, "Numbers are shown as in the locale C."),
    ignored("lc_time", "C", Kind::Text, "Names of days and months are English."),
    ignored("lock_timeout", "0", Kind::Milliseconds, "There are no locks to wait for."),
    ignored("log_min_duration_statement", "-1", Kind::Text, "The log has no statements."),
    ignored("log_min_messages", "warning", Kind::Text, "The server says what it logs."),
    ignored("log_statement", "none", Kind::Text, "The log has no statements."),
    ignored("maintenance_work_mem", "64MB", Kind::Memory(1024), "Memory is not limited by it."),
    ignored("max_parallel_workers_per_gather", "2", Kind::Number, "Clusters have their workers."),
    ignored("password_encryption", "scram-sha-256", Kind::Text, "Always scram-sha-256."),
    ignored("plan_cache_mode", "auto", Kind::Text, "Plans do not depend on it."),
    ignored("quote_all_identifiers", "off", Kind::Bool, "Names are quoted where they must be."),
    ignored("random_page_cost", "4", Kind::Number, "Plans do not depend on it."),
    ignored("restrict_nonsystem_relation_kind", "", Kind::Text, "Nothing is restricted."),
    ignored("restrict_to_user_objects", "off", Kind::Bool, "Nothing is restricted."),
    ignored("row_security", "on", Kind::Bool, "There are no policies."),
    ignored("session_replication_role", "origin", Kind::Text, "There are no triggers."),
    ignored("ssl_renegotiation_limit", "0", Kind::Text, "TLS is not negotiated again."),
    ignored("statement_logging_sample_rate", "0", Kind::Number, "The log has no statements."),
    ignored("synchronize_seqscans", "on", Kind::Bool, "Plans do not depend on it."),
    ignored("tcp_keepalives_idle", "0", Kind::Number, "The system decides."),
    ignored("temp_buffers", "8MB", Kind::Memory(8192), "Memory is not limited by it."),
    ignored("temp_tablespaces", "", Kind::Text, "There are no tablespaces."),
    ignored("transaction_deferrable", "off", Kind::Bool, "No transaction waits."),
    ignored("transform_null_equals", "off", Kind::Bool, "Always off."),
    ignored("vacuum_cost_delay", "0", Kind::Text, "There is no VACUUM."),
    ignored("welcome_message", "on", Kind::Bool, "There is no such message."),
    ignored("work_mem", "4MB", Kind::Memory(1024), "Memory is not limited by it."),
    ignored("xmloption", "content", Kind::Text, "There is no XML."),
];
