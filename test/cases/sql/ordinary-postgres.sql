# PostgreSQL alone.
select date_trunc('hour', created_at) as hour, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by date_trunc('hour', created_at)
select created_at::date as day, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by created_at::date
select extract(hour from created_at) as hour, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by extract(hour from created_at)
select date_part('dow', created_at) as weekday, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select to_char(created_at, 'HH24:MI') as minute, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1 order by 1
select country, count(*) filter (where status = 'paid') as paid, count(*) filter (where status = 'cancelled') as cancelled from orders where created_at >= :slot_start and created_at < :slot_end group by country
select percentile_cont(0.95) within group (order by latency_ms) as p95 from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select provider, percentile_disc(0.5) within group (order by latency_ms) as median from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider
select percentile_cont(array[0.5, 0.9, 0.99]) within group (order by latency_ms) as ps from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select mode() within group (order by error_code) as commonest from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select details->>'browser' as browser, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by details->>'browser'
select details#>>'{utm,source}' as source, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select count(*) as n from orders where details @> '{"gift": true}' and created_at >= :slot_start and created_at < :slot_end
select sum((details->>'discount')::numeric) as discount from orders where created_at >= :slot_start and created_at < :slot_end
select (details->'items'->0->>'sku') as sku, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select jsonb_array_length(details->'items') as items, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select i.value->>'sku' as sku, count(*) as n from orders o cross join lateral jsonb_array_elements(o.details->'items') as i(value) where o.created_at >= :slot_start and o.created_at < :slot_end group by 1
select c.id, l.amount from customers c cross join lateral (select o.amount from orders o where o.customer_id = c.id and o.created_at >= :slot_start and o.created_at < :slot_end order by o.created_at desc limit 1) l
select m.minute, count(o.id) as n from generate_series(:slot_start::timestamptz, :slot_end::timestamptz, interval '1 minute') as m(minute) left join orders o on o.created_at >= m.minute and o.created_at < m.minute + interval '1 minute' group by m.minute
select count(*) as n from orders where created_at >= :slot_start::timestamptz - interval '1 day' and created_at < :slot_end::timestamptz - interval '1 day'
select count(*) as n from orders where country = any (array['GB', 'DE']) and created_at >= :slot_start and created_at < :slot_end
select country, string_agg(distinct status, ',' order by status) as statuses from orders where created_at >= :slot_start and created_at < :slot_end group by country
select country, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by rollup (country)
select country, channel, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by grouping sets ((country), (channel), ())
select country, channel, grouping(country) as all_countries, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by cube (country, channel)
select distinct on (provider) provider, status, attempted_at from payments where attempted_at >= :slot_start and attempted_at < :slot_end order by provider, attempted_at desc
select count(*) as n from customers where email ilike '%@EXAMPLE.com' and created_at >= :slot_start and created_at < :slot_end
select count(*) as n from payments where error_code ~ '^E\d+$' and attempted_at >= :slot_start and attempted_at < :slot_end
select split_part(error_code, '-', 1) as family, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by 1
select count(*) as n from orders where (created_at at time zone 'Europe/London')::time between time '09:00' and time '17:30' and created_at >= :slot_start and created_at < :slot_end
select avg(extract(epoch from (delivered_at - shipped_at)) / 3600.0) as hours from shipments where delivered_at >= :slot_start and delivered_at < :slot_end
select count(*) as n from shipments where delivered_at - shipped_at > interval '3 days' and delivered_at >= :slot_start and delivered_at < :slot_end
select stddev_samp(latency_ms) as deviation, variance(latency_ms) as variance, corr(latency_ms, amount) as related from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select bool_or(status = 'ok') as any_ok, bool_and(status = 'ok') as all_ok from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select width_bucket(amount, 0, 1000, 10) as bucket, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select v.label, count(o.id) as n from (values ('GB', 'Britain'), ('DE', 'Germany')) as v(code, label) left join orders o on o.country = v.code and o.created_at >= :slot_start and o.created_at < :slot_end group by v.label
select country, count(*) as n from sales.orders where created_at >= :slot_start and created_at < :slot_end group by country
select country from orders where created_at >= :slot_start and created_at < :slot_end except select country from customers
select country from orders where created_at >= :slot_start and created_at < :slot_end intersect select country from customers order by country fetch first 10 rows only
with paid as materialized (select id, country from orders where status = 'paid' and created_at >= :slot_start and created_at < :slot_end) select country, count(*)::int as n from paid group by country
select country, sum(amount) over w as running, ntile(4) over w as quarter from orders where created_at >= :slot_start and created_at < :slot_end window w as (partition by country order by created_at)
select greatest(count(*) - 100, 0)::float8 as above, least(count(*), 100) as capped from orders where created_at >= :slot_start and created_at < :slot_end
select count(*) as n from orders where paid_at is distinct from shipped_at and created_at >= :slot_start and created_at < :slot_end
select "country" as "Country", count(*) as "n of orders" from "orders" where "created_at" >= :slot_start and "created_at" < :slot_end group by "country"
select count(*) as n from orders where created_at >= date_trunc('day', :slot_start::timestamptz) and created_at < :slot_end
select count(*) as n from orders where (created_at, id) >= (:slot_start, 0) and created_at < :slot_end
select count(*) as active from customers where vip and not exists (select from orders o where o.customer_id = customers.id and o.created_at >= :slot_start and o.created_at < :slot_end)
select make_interval(mins => 5) as step, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end
select unnest(array['a', 'b']) as part, current_date as today, now() - interval '5 minutes' as before
