{{ config(materialized='table') }}
SELECT 1 AS one, 'x'::text AS t
