CREATE TABLE sqlx_orders (id int PRIMARY KEY, customer text NOT NULL, amount numeric(10, 2), tags text[] NOT NULL DEFAULT '{}');
CREATE VIEW sqlx_totals AS SELECT customer, count(*) AS n, sum(amount) AS total FROM sqlx_orders GROUP BY customer;
CREATE INDEX sqlx_totals_customer ON sqlx_totals (customer);
