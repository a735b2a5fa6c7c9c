import java.sql.*;

/** pgjdbc: server-prepared statements, batches, fetch sizes, metadata, savepoints. */
public class JdbcClient {
    static void check(boolean ok, String what) {
        if (!ok) throw new AssertionError(what);
    }

    /** Every method of DatabaseMetaData that the driver has, each result read to its end. */
    static void walkMetadata(Connection c) throws Exception {
        DatabaseMetaData m = c.getMetaData();
        java.util.Set<String> aboutTable = java.util.Set.of("getBestRowIdentifier", "getIndexInfo", "getPrimaryKeys",
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
                    p.setBigDecimal(3, new java.math.BigDecimal("1.50"));
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
        System.out.println("ok");
    }
}
