//! Random queries.

use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::fuzz::expression::Scope;
use crate::fuzz::kinds::{Kind, Relation, Schema};

/// Makes queries over a schema.
pub struct Generator<'a> {
    /// The source of chance.
    pub rng: &'a mut SmallRng,
    /// The tables.
    pub schema: &'a Schema,
    /// Aliases are numbered.
    pub aliases: usize,
    /// Whether window functions are made.
    pub windows: bool,
}

/// A query and the types of its columns, which are named c0, c1, ..
pub struct Made {
    /// The text.
    pub sql: String,
    /// Types of the columns.
    pub kinds: Vec<Kind>,
}

const PLAIN: &[Kind] =
    &[Kind::Int4, Kind::Int8, Kind::Text, Kind::Bool, Kind::Date, Kind::Timestamp, Kind::Int2];

impl Generator<'_> {
    fn alias(&mut self) -> String {
        self.aliases += 1;
        format!("r{}", self.aliases)
    }

    fn kinds(&mut self, most: usize) -> Vec<Kind> {
        let width = self.rng.random_range(1..=most);
        (0..width).map(|_| Kind::random(self.rng)).collect()
    }

    /// A whole query.
    pub fn query(&mut self) -> Made {
        let scope = Scope::default();
        match self.rng.random_range(0..12) {
            0 | 1 => {
                let kinds = self.kinds(3);
                self.set_operation(&kinds, 2, &scope)
            }
            2 => self.with(&scope),
            _ => {
                let kinds = self.kinds(4);
                self.select(kinds, 2, &scope)
            }
        }
    }

    fn with(&mut self, scope: &Scope) -> Made {
        let kinds = self.kinds(3);
        let inner = self.select(kinds, 1, scope);
        let name = format!("w{}", self.alias());
        let columns = columns_of(&inner.kinds);
        let mut schema = self.schema.clone();
        schema.tables.push(Relation { name: name.clone(), columns });
        let mut nested = Generator {
            rng: self.rng,
            schema: &schema,
            aliases: self.aliases,
            windows: self.windows,
        };
        let kinds = nested.kinds(3);
        let outer = nested.select(kinds, 2, scope);
        let aliases = nested.aliases;
        self.aliases = aliases;
        Made { sql: format!("WITH {name} AS ({}) {}", inner.sql, outer.sql), kinds: outer.kinds }
    }

    fn set_operation(&mut self, kinds: &[Kind], depth: u32, scope: &Scope) -> Made {
        let left = self.select(kinds.to_vec(), depth - 1, scope);
        let right = self.select(kinds.to_vec(), depth - 1, scope);
        let operations =
            ["UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL", "INTERSECT ALL"];
        let operation = operations.choose(self.rng).copied().unwrap_or("UNION");
        Made { sql: format!("({}) {operation} ({})", left.sql, right.sql), kinds: kinds.to_vec() }
    }

    /// A SELECT that gives these types.
    pub fn select(&mut self, kinds: Vec<Kind>, depth: u32, outer: &Scope) -> Made {
        let (from, scope) = self.from(depth, outer);
        let condition = match self.rng.random_range(0..3) {
            0 => String::new(),
            _ => format!(" WHERE {}", self.expression(Kind::Bool, depth + 1, &scope)),
        };
        match self.rng.random_range(0..10) {
            0..=2 => self.grouped(kinds, depth, &from, &condition, &scope),
            3 if self.windows => self.windowed(kinds, depth, &from, &condition, &scope),
            4 if kinds.iter().all(|kind| kind.is_plain()) => {
                self.limited(kinds, depth, &from, &condition, &scope)
            }
            other => {
                let distinct = if other == 5 { "DISTINCT " } else { "" };
                let items = self.items(&kinds, depth, &scope);
                let sql = format!("SELECT {distinct}{items} FROM {from}{condition}");
                Made { sql, kinds }
            }
        }
    }

    fn items(&mut self, kinds: &[Kind], depth: u32, scope: &Scope) -> String {
        let items = kinds.iter().enumerate().map(|(number, kind)| {
            format!("{} AS c{number}", self.expression(*kind, depth + 1, scope))
        });
        items.collect::<Vec<_>>().join(", ")
    }

    /// In an order that leaves nothing to chance.
    fn limited(
        &mut self,
        kinds: Vec<Kind>,
        depth: u32,
        from: &str,
        condition: &str,
        scope: &Scope,
    ) -> Made {
        let items = self.items(&kinds, depth, scope);
        let orders: Vec<String> = (1..=kinds.len())
            .map(|number| {
                let directions = ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"];
                format!("{number}{}", directions.choose(self.rng).copied().unwrap_or(""))
            })
            .collect();
        let limit = self.rng.random_range(0..5);
        let offset = if self.rng.random_ratio(1, 3) { " OFFSET 1" } else { "" };
        let order = orders.join(", ");
        let distinct = if self.rng.random_ratio(1, 5) { "DISTINCT " } else { "" };
        let sql = format!(
            "SELECT {distinct}{items} FROM {from}{condition} ORDER BY {order} LIMIT {limit}{offset}"
        );
        Made { sql, kinds }
    }

    fn grouped(
        &mut self,
        kinds: Vec<Kind>,
        depth: u32,
        from: &str,
        condition: &str,
        scope: &Scope,
    ) -> Made {
        let count = self.rng.random_range(0..=2_usize);
        let keys: Vec<(String, Kind)> = (0..count)
            .map(|_| {
                let kind = PLAIN.choose(self.rng).copied().unwrap_or(Kind::Int4);
                (self.expression(kind, depth, scope), kind)
            })
            // A constant would be the position of a column.
            .filter(|(key, _)| key.contains(".c") || key.contains(".r"))
            .collect();
        let items: Vec<String> = kinds
            .iter()
            .enumerate()
            .map(|(number, kind)| {
                let key = keys.iter().find(|(_, key)| key == kind);
                let item = match key {
                    Some((key, _)) if self.rng.random_ratio(2, 3) => key.clone(),
                    _ => self.aggregate(*kind, depth, scope),
                };
                format!("{item} AS c{number}")
            })
            .collect();
        let keys: Vec<String> = keys.into_iter().map(|(key, _)| format!("({key})")).collect();
        let group =
            if keys.is_empty() { String::new() } else { format!(" GROUP BY {}", keys.join(", ")) };
        let having = match self.rng.random_range(0..5) {
            0 => format!(" HAVING count(*) > {}", self.rng.random_range(0..3)),
            1 => " HAVING max(1) IS NOT NULL".to_owned(),
            _ => String::new(),
        };
        let sql = format!("SELECT {} FROM {from}{condition}{group}{having}", items.join(", "));
        Made { sql, kinds }
    }

    /// An aggregate of a type, whose result does not hang on the order of rows.
    fn aggregate(&mut self, kind: Kind, depth: u32, scope: &Scope) -> String {
        let argument = |made: &mut Self, kind| made.expression(kind, depth, scope);
        let filter = if self.rng.random_ratio(1, 5) {
            format!(" FILTER (WHERE {})", self.expression(Kind::Bool, depth, scope))
        } else {
            String::new()
        };
        let distinct = if self.rng.random_ratio(1, 4) { "DISTINCT " } else { "" };
        let call = match kind {
            Kind::Int8 => match self.rng.random_range(0..4) {
                0 => return format!("count(*){filter}"),
                1 => format!("sum({distinct}{})", argument(self, Kind::Int4)),
                2 => {
                    let kind = Kind::random(self.rng);
                    format!("count({distinct}{})", argument(self, kind))
                }
                _ => format!("max({})", argument(self, Kind::Int8)),
            },
            Kind::Numeric => match self.rng.random_range(0..3) {
                0 => format!("sum({distinct}{})", argument(self, Kind::Numeric)),
                1 => {
                    let average = format!("avg({distinct}{})", argument(self, Kind::Int4));
                    return format!("round({average}{filter}, 6)");
                }
                _ => format!("min({})", argument(self, Kind::Numeric)),
            },
            Kind::Bool => {
                let name = if self.rng.random_bool(0.5) { "bool_and" } else { "bool_or" };
                format!("{name}({})", argument(self, Kind::Bool))
            }
            Kind::Text if self.rng.random_bool(0.5) => {
                let text = argument(self, Kind::Text);
                format!("string_agg({text}, ',' ORDER BY {text})")
            }
            Kind::IntArray => {
                let item = argument(self, Kind::Int4);
                format!("array_agg({distinct}{item} ORDER BY {item})")
            }
            Kind::Jsonb => {
                let item = argument(self, Kind::Int4);
                format!("jsonb_agg({item} ORDER BY {item})")
            }
            // PostgreSQL 15 has no least uuid.
            Kind::Uuid => return "NULL::uuid".to_owned(),
            other => {
                let name = if self.rng.random_bool(0.5) { "min" } else { "max" };
                format!("{name}({})", argument(self, other))
            }
        };
        format!("{call}{filter}")
    }

    fn windowed(
        &mut self,
        kinds: Vec<Kind>,
        depth: u32,
        from: &str,
        condition: &str,
        scope: &Scope,
    ) -> Made {
        let partition = match self.rng.random_range(0..3) {
            0 => String::new(),
            _ => format!("PARTITION BY {} ", self.expression(Kind::Int4, depth, scope)),
        };
        // Peers are alike in all that the query can see of plain types.
        let order: Vec<String> =
            PLAIN.iter().map(|kind| self.expression(*kind, 0, scope)).collect();
        let order = order.join(", ");
        let counts = ["rank()", "dense_rank()", "count(*)"];
        let shares = ["cume_dist()", "percent_rank()"];
        let frames =
            ["", " RANGE UNBOUNDED PRECEDING", " GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW"];
        let frame = frames.choose(self.rng).copied().unwrap_or("");
        let items: Vec<String> = kinds
            .iter()
            .enumerate()
            .map(|(number, kind)| {
                let calls: &[&str] = match kind {
                    Kind::Int8 => &counts,
                    Kind::Float8 => &shares,
                    _ => &[],
                };
                let item = match calls.choose(self.rng) {
                    Some(call) => format!("{call} OVER ({partition}ORDER BY {order}{frame})"),
                    None => self.expression(*kind, depth + 1, scope),
                };
                format!("{item} AS c{number}")
            })
            .collect();
        Made { sql: format!("SELECT {} FROM {from}{condition}", items.join(", ")), kinds }
    }

    /// FROM's text, and what is in scope after it.
    fn from(&mut self, depth: u32, outer: &Scope) -> (String, Scope) {
        let (mut text, relation) = self.item(depth);
        let mut scope = outer.with(relation);
        let joins = self.rng.random_range(0..=2);
        for _ in 0..joins {
            let lateral = depth > 0 && self.rng.random_ratio(1, 8);
            let (item, relation) = if lateral {
                let kinds = self.kinds(2);
                let made = self.select(kinds, depth - 1, &scope);
                let name = self.alias();
                let columns = columns_of(&made.kinds);
                (format!("LATERAL ({}) AS {name}", made.sql), Relation { name, columns })
            } else {
                self.item(depth)
            };
            let inside = scope.with(relation.clone());
            let kinds: &[&str] = if lateral {
                &["JOIN", "LEFT JOIN"]
            } else {
                &["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"]
            };
            let kind = kinds.choose(self.rng).copied().unwrap_or("JOIN");
            let on = match kind {
                "CROSS JOIN" => String::new(),
                // PostgreSQL joins whole sides only by conditions it can merge or hash.
                "FULL JOIN" => format!(" ON {}", equality(&scope, &relation)),
                _ if self.rng.random_ratio(2, 3) => format!(" ON {}", equality(&scope, &relation)),
                _ => format!(" ON {}", self.expression(Kind::Bool, depth, &inside)),
            };
            text = format!("{text} {kind} {item}{on}");
            scope = inside;
        }
        (text, scope)
    }

    fn item(&mut self, depth: u32) -> (String, Relation) {
        let name = self.alias();
        if depth > 0 && self.rng.random_ratio(1, 5) {
            let kinds = self.kinds(3);
            let made = self.select(kinds, depth - 1, &Scope::default());
            let columns = columns_of(&made.kinds);
            return (format!("({}) AS {name}", made.sql), Relation { name, columns });
        }
        if self.rng.random_ratio(1, 20) {
            let columns = vec![(name.clone(), Kind::Int4)];
            let text = format!("generate_series(0, 2) AS {name}({name})");
            return (text, Relation { name, columns });
        }
        let table = self.schema.tables.choose(self.rng);
        let (table, columns) =
            table.map_or((String::new(), Vec::new()), |t| (t.name.clone(), t.columns.clone()));
        (format!("{table} AS {name}"), Relation { name, columns })
    }

    /// One value from a subquery.
    pub fn scalar_subquery(&mut self, kind: Kind, depth: u32, scope: &Scope) -> String {
        if depth == 0 || kind == Kind::Uuid {
            return self.expression(kind, 0, scope);
        }
        let (from, inside) = self.from(0, scope);
        let item = self.aggregate(kind, 0, &inside);
        let condition = self.expression(Kind::Bool, 1, &inside);
        format!("(SELECT {item} FROM {from} WHERE {condition})")
    }

    /// EXISTS, IN and their like.
    pub fn subquery_condition(&mut self, depth: u32, scope: &Scope) -> String {
        if depth == 0 {
            return self.expression(Kind::Bool, 0, scope);
        }
        let kind = PLAIN.choose(self.rng).copied().unwrap_or(Kind::Int4);
        let made = self.select(vec![kind], 0, scope);
        match self.rng.random_range(0..6) {
            0 | 1 => format!("EXISTS ({})", made.sql),
            2 => format!("(NOT EXISTS ({}))", made.sql),
            3 => format!("({} IN ({}))", self.expression(kind, 1, scope), made.sql),
            4 => format!("({} NOT IN ({}))", self.expression(kind, 1, scope), made.sql),
            _ => format!("({} <= ANY ({}))", self.expression(kind, 1, scope), made.sql),
        }
    }
}

fn columns_of(kinds: &[Kind]) -> Vec<(String, Kind)> {
    kinds.iter().enumerate().map(|(number, kind)| (format!("c{number}"), *kind)).collect()
}

/// An equality of columns of two sides, if they have columns of one type.
fn equality(scope: &Scope, right: &Relation) -> String {
    for (column, kind) in &right.columns {
        let left = scope.relations.iter().rev().find_map(|relation| {
            let found = relation.columns.iter().find(|(_, k)| k == kind)?;
            Some(format!("{}.{}", relation.name, found.0))
        });
        if let Some(left) = left {
            return format!("{left} = {}.{column}", right.name);
        }
    }
    "1 = 1".to_owned()
}
