{{ config(materialized='source', cluster='quickstart') }}
FROM POSTGRES CONNECTION materialize.public.dbt_connection (PUBLICATION 'dbt_publication')
