SELECT id, customer, amount FROM {{ source('shop', 'dbt_orders') }} WHERE amount > 0
