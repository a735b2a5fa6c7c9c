import java.sql.*;

/** pgjdbc: server-prepared statements, batches, fetch sizes, metadata, savepoints. */
public class JdbcClient {
    static void check(boolean ok, String what) {
        if (!ok) throw new AssertionError(what);
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
