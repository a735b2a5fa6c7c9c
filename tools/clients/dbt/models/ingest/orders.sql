{{ config(materialized='source_table', indexes=[{'columns': ['id'], 'cluster': 'quickstart'}]) }}
FROM SOURCE {{ ref('shop_source') }} (REFERENCE public.dbt_orders)
