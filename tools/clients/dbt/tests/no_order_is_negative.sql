{{ config(store_failures=true) }}
SELECT * FROM {{ ref('order_lines') }} WHERE amount < 0
