{{ config(materialized='view', indexes=[{'default': True, 'cluster': target.cluster}]) }}
SELECT customer, name, total::numeric(12, 2) AS total FROM {{ ref('totals') }} ORDER BY total DESC LIMIT 2
