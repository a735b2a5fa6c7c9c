{{ config(materialized='materialized_view', retain_history='1hr') }}
SELECT date_trunc('day', at) AS day, count(*) AS n FROM {{ ref('order_lines') }} GROUP BY 1
