{{ config(materialized='materialized_view', indexes=[{'columns': ['customer']}]) }}
SELECT customer, sum(amount) AS total FROM {{ ref('order_lines') }} GROUP BY customer
