{{ config(materialized='ephemeral') }}
SELECT * FROM {{ ref('order_lines') }} WHERE amount >= 5
