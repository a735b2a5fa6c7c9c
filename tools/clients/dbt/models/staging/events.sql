SELECT id, kind, at FROM {{ source('shop', 'dbt_events') }}
