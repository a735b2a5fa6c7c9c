import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;

/** pgjdbc: server-prepared statements, batches, fetch sizes, binary transfer, types, COPY, metadata compared with PostgreSQL's. */
public class JdbcClient {
    static void check(boolean ok, String what) {
        if (!ok) throw new AssertionError(what);
    }

    /** Every method of DatabaseMetaData that the driver has, each result read to its end. */
    static void walkMetadata(Connection c) throws Exception {
        DatabaseMetaData m = c.getMetaData();
        Set<String> aboutTable = Set.of("getBestRowIdentifier", "getIndexInfo", "getPrimaryKeys",
            "getImportedKeys", "getExportedKeys", "getVersionColumns", "getColumnPrivileges", "getCrossReference");
        int walked = 0;
        for (java.lang.reflect.Method method : DatabaseMetaData.class.getMethods()) {
            if (method.getDeclaringClass() != DatabaseMetaData.class) continue;
            Class<?>[] types = method.getParameterTypes();
            Object[] values = new Object[types.length];
            for (int i = 0; i < types.length; i++) {
                if (types[i] == int.class) values[i] = ResultSet.TYPE_FORWARD_ONLY;
                if (types[i] == boolean.class) values[i] = false;
            }
            if (aboutTable.contains(method.getName())) values[2] = "jdbc";
            if (method.getName().equals("getCrossReference")) values[5] = "jdbc";
            try {
                Object result = method.invoke(m, values);
                if (result instanceof ResultSet) {
                    ResultSet rows = (ResultSet) result;
                    int columns = rows.getMetaData().getColumnCount();
                    while (rows.next()) for (int i = 1; i <= columns; i++) rows.getObject(i);
                }
                walked++;
            } catch (java.lang.reflect.InvocationTargetException e) {
                if (!(e.getCause() instanceof SQLFeatureNotSupportedException)) {
                    throw new AssertionError(method.getName() + ": " + e.getCause().getMessage());
                }
            }
        }
        check(walked > 150, "only " + walked + " methods");
        try (ResultSet rows = m.getBestRowIdentifier(null, null, "jdbc", 0, false)) {
            check(rows.next() && rows.getString("COLUMN_NAME").equals("id"), "getBestRowIdentifier");
        }
        try (ResultSet rows = m.getIndexInfo(null, "public", "jdbc", true, false)) {
            check(rows.next() && rows.getString("COLUMN_NAME").equals("id"), "getIndexInfo");
        }
        check(m.getSQLKeywords().contains("materialized"), "getSQLKeywords");
    }

    static Connection connect(String options) throws SQLException {
        String url = System.getenv("TIDEMILL_JDBC");
        return DriverManager.getConnection(url + (url.contains("?") ? "&" : "?") + options, "materialize", "");
    }

    /** Rows of a result as text, columns that name what differs from server to server left out. */
    static List<String> rows(ResultSet r, Set<String> without) throws SQLException {
        ResultSetMetaData m = r.getMetaData();
        List<String> found = new ArrayList<>();
        while (r.next()) {
            StringBuilder row = new StringBuilder();
            for (int i = 1; i <= m.getColumnCount(); i++) {
                if (!without.contains(m.getColumnName(i).toUpperCase())) row.append(m.getColumnName(i)).append('=').append(r.getString(i)).append(' ');
            }
            found.add(row.toString());
        }
        return found;
    }

    interface Question {
        ResultSet ask(DatabaseMetaData m) throws SQLException;
    }

    /** What the driver says of the schema `shop` is the same with both servers. */
    static void compareMetadata(Connection ours, Connection theirs) throws SQLException {
        Map<String, Question> questions = new LinkedHashMap<>();
        questions.put("getTables", m -> m.getTables(null, "shop", "%", null));
        questions.put("getTables of views", m -> m.getTables(null, "shop", "%", new String[] {"VIEW", "MATERIALIZED VIEW"}));
        questions.put("getTables of sequences", m -> m.getTables(null, "shop", "%", new String[] {"SEQUENCE", "TYPE", "INDEX"}));
        questions.put("getColumns", m -> m.getColumns(null, "shop", "%", "%"));
        for (String table : new String[] {"customers", "orders", "lines", "Mixed Case", "totals", "names"}) {
            questions.put("getPrimaryKeys of " + table, m -> m.getPrimaryKeys(null, "shop", table));
            questions.put("getIndexInfo of " + table, m -> m.getIndexInfo(null, "shop", table, false, true));
            questions.put("unique getIndexInfo of " + table, m -> m.getIndexInfo(null, "shop", table, true, true));
            questions.put("getBestRowIdentifier of " + table, m -> m.getBestRowIdentifier(null, "shop", table, DatabaseMetaData.bestRowSession, true));
            questions.put("getImportedKeys of " + table, m -> m.getImportedKeys(null, "shop", table));
            questions.put("getVersionColumns of " + table, m -> m.getVersionColumns(null, "shop", table));
        }
        questions.put("getUDTs", m -> m.getUDTs(null, "shop", "%", null));
        questions.put("getFunctions", m -> m.getFunctions(null, "shop", "%"));
        questions.put("getFunctionColumns", m -> m.getFunctionColumns(null, "shop", "%", "%"));
        questions.put("getSchemas", m -> m.getSchemas(null, "shop"));
        questions.put("getTablePrivileges", m -> m.getTablePrivileges(null, "shop", "customers"));
        questions.put("getTableTypes", m -> m.getTableTypes());
        // Sizes of indexes are estimates; a column's privileges name roles of the server.
        Set<String> without = Set.of("PAGES", "CARDINALITY", "SPECIFIC_NAME", "TYPE_CAT", "DATA_TYPE_OID");
        StringBuilder differences = new StringBuilder();
        for (Map.Entry<String, Question> question : questions.entrySet()) {
            List<String> mine = rows(question.getValue().ask(ours.getMetaData()), without);
            List<String> other = rows(question.getValue().ask(theirs.getMetaData()), without);
            if (mine.equals(other)) continue;
            differences.append(question.getKey()).append('\n');
            for (String row : other) if (!mine.contains(row)) differences.append("  PostgreSQL: ").append(row).append('\n');
            for (String row : mine) if (!other.contains(row)) differences.append("  Tidemill:   ").append(row).append('\n');
            if (new HashSet<>(mine).equals(new HashSet<>(other))) differences.append("  the order\n");
        }
        check(differences.length() == 0, differences.toString());
    }

    static void walkTypes(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("DROP TABLE IF EXISTS jdbc_types CASCADE");
            s.execute("CREATE TABLE jdbc_types (id int PRIMARY KEY, b boolean, s smallint, l bigint, f real, d double precision, n numeric, t text,"
                + " y bytea, day date, clock time, ts timestamp, tz timestamptz, u uuid, a int[], ta text[], j jsonb, i interval)");
        }
        UUID key = UUID.fromString("00000000-0000-0000-0000-00000000000f");
        LocalDateTime at = LocalDateTime.of(2024, 2, 29, 12, 34, 56, 789_000_000);
        try (PreparedStatement p = c.prepareStatement("INSERT INTO jdbc_types VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?::jsonb,?::interval)")) {
            for (int id = 0; id < 8; id++) {
                Object[] values = {id, true, (short) -3, Long.MIN_VALUE, 1.5f, -2.25, new BigDecimal("-12345678901234567890.00123"), "é\n'", new byte[] {0, -1},
                    LocalDate.of(1999, 12, 31), LocalTime.of(23, 59, 59), at, at.atOffset(ZoneOffset.UTC), key,
                    c.createArrayOf("int4", new Integer[] {1, null}), c.createArrayOf("text", new String[] {"a,\"b", ""}), "{\"a\": 1}", "1 day 02:03:04"};
                for (int i = 0; i < values.length; i++) p.setObject(i + 1, id == 7 && i > 0 ? null : values[i], id == 7 && i > 0 ? Types.NULL : typeOf(values[i]));
                check(p.executeUpdate() == 1, "insert");
            }
        }
        try (PreparedStatement p = c.prepareStatement("SELECT * FROM jdbc_types WHERE id = ?")) {
            for (int id = 0; id < 8; id++) {
                p.setInt(1, id);
                ResultSet r = p.executeQuery();
                check(r.next(), "a row");
                if (id == 7) {
                    for (int i = 2; i <= 18; i++) check(r.getObject(i) == null, "NULL " + i);
                    continue;
                }
                check(r.getBoolean(2) && r.getShort(3) == -3 && r.getLong(4) == Long.MIN_VALUE && r.getFloat(5) == 1.5f && r.getDouble(6) == -2.25, "numbers");
                check(r.getBigDecimal(7).equals(new BigDecimal("-12345678901234567890.00123")) && r.getString(8).equals("é\n'"), "numeric, text");
                check(Arrays.equals(r.getBytes(9), new byte[] {0, -1}), "bytea");
                check(r.getObject(10, LocalDate.class).equals(LocalDate.of(1999, 12, 31)) && r.getDate(10).toString().equals("1999-12-31"), "date");
                check(r.getObject(11, LocalTime.class).equals(LocalTime.of(23, 59, 59)) && r.getObject(12, LocalDateTime.class).equals(at), "time, timestamp");
                check(r.getObject(13, OffsetDateTime.class).toInstant().equals(at.toInstant(ZoneOffset.UTC)) && r.getObject(14).equals(key), "timestamptz, uuid");
                check(Arrays.equals((Integer[]) r.getArray(15).getArray(), new Integer[] {1, null}), "int[]");
                check(Arrays.equals((String[]) r.getArray(16).getArray(), new String[] {"a,\"b", ""}), "text[]");
                check(r.getString(17).equals("{\"a\": 1}") && r.getObject(18).toString().contains("1 days 2 hours 3 mins 4.0 secs"), "jsonb, interval " + r.getObject(18));
            }
        }
        ParameterMetaData parameters = c.prepareStatement("SELECT * FROM jdbc_types WHERE l = ? AND tz < ?").getParameterMetaData();
        check(parameters.getParameterType(1) == Types.BIGINT && parameters.getParameterTypeName(2).equals("timestamptz"), "parameters");
        ResultSetMetaData m = c.prepareStatement("SELECT id, n AS alias FROM jdbc_types").getMetaData();
        check(m.getTableName(1).equals("jdbc_types") && m.getColumnLabel(2).equals("alias") && m.getColumnName(2).equals("alias"), "names");
        check(m.isNullable(1) == ResultSetMetaData.columnNoNulls && m.getColumnTypeName(2).equals("numeric"), "nullable");
    }

    static int typeOf(Object value) {
        if (value instanceof Boolean) return Types.BOOLEAN;
        if (value instanceof Short) return Types.SMALLINT;
        if (value instanceof Integer) return Types.INTEGER;
        if (value instanceof Long) return Types.BIGINT;
        if (value instanceof Float) return Types.REAL;
        if (value instanceof Double) return Types.DOUBLE;
        if (value instanceof BigDecimal) return Types.NUMERIC;
        if (value instanceof byte[]) return Types.BINARY;
        if (value instanceof LocalDate) return Types.DATE;
        if (value instanceof LocalTime) return Types.TIME;
        if (value instanceof LocalDateTime) return Types.TIMESTAMP;
        if (value instanceof OffsetDateTime) return Types.TIMESTAMP_WITH_TIMEZONE;
        if (value instanceof Array) return Types.ARRAY;
        if (value instanceof UUID) return Types.OTHER;
        return Types.VARCHAR;
    }

    static void statements(Connection c) throws Exception {
        try (Statement s = c.createStatement()) {
            s.execute("DROP TABLE IF EXISTS jdbc_s CASCADE");
            s.execute("CREATE TABLE jdbc_s (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t text)");
            s.addBatch("INSERT INTO jdbc_s (t) VALUES ('a')");
            s.addBatch("UPDATE jdbc_s SET t = 'b'");
            s.addBatch("INSERT INTO jdbc_s (t) VALUES ('c')");
            check(Arrays.equals(s.executeBatch(), new int[] {1, 1, 1}), "a batch of statements");
            check(s.execute("SELECT 1; SELECT 2; UPDATE jdbc_s SET t = t"), "several");
            check(s.getMoreResults() && s.getResultSet().next() && !s.getMoreResults() && s.getUpdateCount() == 2, "several results");
        }
        try (PreparedStatement p = c.prepareStatement("INSERT INTO jdbc_s (t) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int i = 0; i < 300; i++) {
                p.setString(1, "k" + i);
                p.addBatch();
            }
            check(Arrays.stream(p.executeBatch()).allMatch(n -> n == 1 || n == Statement.SUCCESS_NO_INFO), "a batch with keys");
            ResultSet keys = p.getGeneratedKeys();
            int n = 0;
            // In order; a sequence may leave numbers out.
            for (int last = 2; keys.next(); last = keys.getInt("id"), n++) check(keys.getInt("id") > last, "key " + n);
            check(n == 300, "keys " + n);
        }
        try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet r = s.executeQuery("SELECT id, t FROM jdbc_s WHERE id <= 3 ORDER BY id");
            check(r.last() && r.getInt(1) == 3 && r.absolute(2), "scrolling");
            r.updateString("t", "updated");
            r.updateRow();
            r.absolute(3);
            r.deleteRow();
            r.moveToInsertRow();
            r.updateString("t", "inserted");
            r.insertRow();
        }
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT count(*), count(*) FILTER (WHERE t IN ('updated', 'inserted')) FROM jdbc_s")) {
            check(r.next() && r.getInt(1) == 302 && r.getInt(2) == 2, "through a ResultSet");
        }
        try (PreparedStatement p = c.prepareStatement("SELECT {fn concat('a', 'b')}, {d '2024-01-02'}, {ts '2024-01-02 03:04:05'}, {fn year({d '2024-01-02'})} WHERE 'a_b' LIKE 'a|_%' {escape '|'}")) {
            ResultSet r = p.executeQuery();
            check(r.next() && r.getString(1).equals("ab") && r.getDate(2).toString().equals("2024-01-02") && r.getInt(4) == 2024, "escapes");
        }
        org.postgresql.copy.CopyManager copy = c.unwrap(org.postgresql.PGConnection.class).getCopyAPI();
        check(copy.copyIn("COPY jdbc_s (t) FROM STDIN", new java.io.StringReader("x\ny\n")) == 2, "copy in");
        java.io.StringWriter out = new java.io.StringWriter();
        check(copy.copyOut("COPY (SELECT t FROM jdbc_s WHERE t IN ('x', 'y') ORDER BY t) TO STDOUT (FORMAT CSV)", out) == 2 && out.toString().equals("x\ny\n"), "copy out");
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            s.execute("SUBSCRIBE (SELECT id FROM jdbc_s WHERE id < 0)");
            check(false, "no timeout");
        } catch (SQLException e) {
            check(e.getSQLState().equals("57014"), e.getMessage());
        }
        c.setReadOnly(true);
        c.setAutoCommit(false);
        try (Statement s = c.createStatement()) {
            s.execute("DELETE FROM jdbc_s");
            check(false, "written though read only");
        } catch (SQLException e) {
            check(e.getSQLState().equals("25006"), e.getMessage());
        }
        c.rollback();
        c.setAutoCommit(true);
        c.setReadOnly(false);
        for (int level : new int[] {Connection.TRANSACTION_READ_COMMITTED, Connection.TRANSACTION_REPEATABLE_READ, Connection.TRANSACTION_SERIALIZABLE}) c.setTransactionIsolation(level);
        c.setSchema("shop");
        check(c.getSchema().equals("shop") && c.isValid(5), "schema");
        c.setSchema("public");
        c.setClientInfo("ApplicationName", "jdbc client");
        check(c.getClientInfo("ApplicationName").equals("jdbc client"), "client info");
        c.setNetworkTimeout(Runnable::run, 60000);
    }

    /** The driver's ways to send a statement, and to read values. */
    static void modes() throws Exception {
        for (String options : new String[] {
            "prepareThreshold=1", "prepareThreshold=-1", "prepareThreshold=0", "binaryTransfer=false", "preferQueryMode=simple", "preferQueryMode=extendedForPrepared",
            "preferQueryMode=extendedCacheEverything", "reWriteBatchedInserts=true", "autosave=always", "defaultRowFetchSize=5", "stringtype=unspecified",
            "assumeMinServerVersion=9.0&ApplicationName=x", "readOnlyMode=always", "cleanupSavepoints=true&autosave=conservative", "options=-c%20statement_timeout=100000",
        }) {
            try (Connection c = connect(options)) {
                // A driver that sends no parameters cannot send bytes.
                if (!options.contains("QueryMode=simple")) walkTypes(c);
                statements(c);
                c.setAutoCommit(false);
                try (Statement s = c.createStatement()) {
                    s.setFetchSize(3);
                    ResultSet r = s.executeQuery("SELECT id FROM jdbc_types ORDER BY id");
                    int n = 0;
                    while (r.next()) check(r.getInt(1) == n++, "order");
                    check(n == 8, "rows " + n);
                    try {
                        s.execute("SELECT 1/0");
                        check(false, "no error");
                    } catch (SQLException e) {
                        check(e.getSQLState().equals("22012"), e.getMessage());
                    }
                }
                // "conservative" goes back for statements that must be prepared anew, and nothing else.
                if (options.contains("autosave=always")) check(c.createStatement().executeQuery("SELECT 1").next(), "after an error");
                c.rollback();
            } catch (Throwable e) {
                throw new AssertionError(options + ": " + e.getMessage(), e);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection c = DriverManager.getConnection(System.getenv("TIDEMILL_JDBC"), "materialize", "")) {
            try (Statement s = c.createStatement()) {
                s.execute("DROP TABLE IF EXISTS jdbc CASCADE");
                s.execute("CREATE TABLE jdbc (id int PRIMARY KEY, t text, n numeric(10,2), ts timestamptz, a int[])");
            }
            try (PreparedStatement p = c.prepareStatement("INSERT INTO jdbc (id, t, n) VALUES (?, ?, ?)")) {
                for (int i = 0; i < 100; i++) {
                    p.setInt(1, i);
                    p.setString(2, "t" + i);
                    p.setBigDecimal(3, new BigDecimal("1.50"));
                    p.addBatch();
                }
                check(p.executeBatch().length == 100, "batch");
            }
            for (int i = 0; i < 10; i++) {
                try (PreparedStatement p = c.prepareStatement("SELECT t, n FROM jdbc WHERE id = ?")) {
                    p.setInt(1, i);
                    ResultSet r = p.executeQuery();
                    check(r.next() && r.getString(1).equals("t" + i) && r.getBigDecimal(2).toString().equals("1.50"), "row");
                }
            }
            c.setAutoCommit(false);
            try (Statement s = c.createStatement()) {
                s.setFetchSize(7);
                ResultSet r = s.executeQuery("SELECT id FROM jdbc ORDER BY id");
                int n = 0;
                while (r.next()) check(r.getInt(1) == n++, "order");
                check(n == 100, "fetch size");
                Savepoint p = c.setSavepoint();
                s.execute("DELETE FROM jdbc");
                c.rollback(p);
                c.commit();
            }
            c.setAutoCommit(true);
            DatabaseMetaData m = c.getMetaData();
            check(m.getTables(null, "public", "jdbc", null).next(), "getTables");
            ResultSet columns = m.getColumns(null, "public", "jdbc", null);
            int n = 0;
            while (columns.next()) n++;
            check(n == 5, "getColumns");
            ResultSet keys = m.getPrimaryKeys(null, "public", "jdbc");
            check(keys.next() && keys.getString("COLUMN_NAME").equals("id"), "getPrimaryKeys");
            m.getIndexInfo(null, "public", "jdbc", false, false).next();
            m.getSchemas().next();
            m.getTypeInfo().next();
            walkMetadata(c);
            try (Statement s = c.createStatement()) {
                s.execute("SELECT 1/0");
                check(false, "no error");
            } catch (SQLException e) {
                check(e.getSQLState().equals("22012"), e.getSQLState());
            }
        }
        modes();
        if (System.getenv("REFERENCE_JDBC") != null) {
            try (Connection ours = connect("ApplicationName=ours"); Connection theirs = DriverManager.getConnection(System.getenv("REFERENCE_JDBC"), "materialize", "")) {
                compareMetadata(ours, theirs);
            }
        }
        System.out.println("ok");
    }
}
