//! `pg_catalog`: parts of PostgreSQL's type system and text search that Tidemill lacks.

use super::super::{Builtin, Content};

/// Relations without rows.
pub const RELATIONS: &[Builtin] = &[
    Builtin {
        number: 435,
        schema: "pg_catalog",
        name: "pg_conversion",
        columns: "oid oid, conname name, connamespace oid, conowner oid, conforencoding int4, \
         contoencoding int4, conproc regproc, condefault bool",
        content: Content::Empty,
    },
    Builtin {
        number: 436,
        schema: "pg_catalog",
        name: "pg_opclass",
        columns: "oid oid, opcmethod oid, opcname name, opcnamespace oid, opcowner oid, \
         opcfamily oid, opcintype oid, opcdefault bool, opckeytype oid",
        content: Content::Empty,
    },
    Builtin {
        number: 437,
        schema: "pg_catalog",
        name: "pg_opfamily",
        columns: "oid oid, opfmethod oid, opfname name, opfnamespace oid, opfowner oid",
        content: Content::Empty,
    },
    Builtin {
        number: 438,
        schema: "pg_catalog",
        name: "pg_amop",
        columns: "oid oid, amopfamily oid, amoplefttype oid, amoprighttype oid, amopstrategy int2, \
         amoppurpose char, amopopr oid, amopmethod oid, amopsortfamily oid",
        content: Content::Empty,
    },
    Builtin {
        number: 439,
        schema: "pg_catalog",
        name: "pg_amproc",
        columns: "oid oid, amprocfamily oid, amproclefttype oid, amprocrighttype oid, \
         amprocnum int2, amproc regproc",
        content: Content::Empty,
    },
    Builtin {
        number: 440,
        schema: "pg_catalog",
        name: "pg_ts_config",
        columns: "oid oid, cfgname name, cfgnamespace oid, cfgowner oid, cfgparser oid",
        content: Content::Empty,
    },
    Builtin {
        number: 441,
        schema: "pg_catalog",
        name: "pg_ts_dict",
        columns: "oid oid, dictname name, dictnamespace oid, dictowner oid, dicttemplate oid, \
         dictinitoption text?",
        content: Content::Empty,
    },
    Builtin {
        number: 442,
        schema: "pg_catalog",
        name: "pg_ts_parser",
        columns: "oid oid, prsname name, prsnamespace oid, prsstart regproc, prstoken regproc, \
         prsend regproc, prsheadline regproc, prslextype regproc",
        content: Content::Empty,
    },
    Builtin {
        number: 443,
        schema: "pg_catalog",
        name: "pg_ts_template",
        columns: "oid oid, tmplname name, tmplnamespace oid, tmplinit regproc, tmpllexize regproc",
        content: Content::Empty,
    },
    Builtin {
        number: 444,
        schema: "pg_catalog",
        name: "pg_aggregate",
        columns: "aggfnoid regproc, aggkind char, aggnumdirectargs int2, aggtransfn regproc, \
         aggfinalfn regproc, aggcombinefn regproc, aggserialfn regproc, \
         aggdeserialfn regproc, aggmtransfn regproc, aggminvtransfn regproc, \
         aggmfinalfn regproc, aggfinalextra bool, aggmfinalextra bool, \
         aggfinalmodify char, aggmfinalmodify char, aggsortop oid, aggtranstype oid, \
         aggtransspace int4, aggmtranstype oid, aggmtransspace int4, agginitval text?, \
         aggminitval text?",
        content: Content::Empty,
    },
];
