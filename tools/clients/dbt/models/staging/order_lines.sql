SELECT id, customer, amount, at FROM {{ ref('orders') }} WHERE amount > 0
