{{ config(
    materialized='materialized_view',
    cluster='dbt_shop',
    indexes=[{'columns': ['customer'], 'name': 'totals_by_customer'}, {'columns': ["upper(name)"], 'cluster': 'dbt_shop'}, {'default': True}],
) }}
SELECT c.id AS customer, c.name, count(*) AS orders, sum(p.amount) AS total
FROM {{ ref('paid') }} AS p
JOIN {{ ref('customers') }} AS c ON c.id = p.customer
GROUP BY c.id, c.name
