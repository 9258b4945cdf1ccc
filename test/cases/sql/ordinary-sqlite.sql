# SQLite alone.
select date(created_at) as day, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by date(created_at)
select strftime('%H:%M', created_at) as minute, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by strftime('%H:%M', created_at)
select cast(strftime('%w', created_at) as integer) as weekday, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select datetime(created_at, 'start of day') as day, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select count(*) as n from orders where created_at >= datetime(:slot_start, '-1 day') and created_at < datetime(:slot_end, '-1 day')
select avg((julianday(delivered_at) - julianday(shipped_at)) * 24.0) as hours from shipments where delivered_at >= :slot_start and delivered_at < :slot_end
select avg(strftime('%s', delivered_at) - strftime('%s', shipped_at)) as seconds from shipments where delivered_at >= :slot_start and delivered_at < :slot_end
select ifnull(error_code, 'none') as error_code, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by error_code
select iif(amount > 100, 'large', 'small') as size, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select provider, sum(status = 'ok') as ok, total(amount) as amount from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider
select provider, avg(status = 'ok') as success_rate from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider
select country, group_concat(distinct status) as statuses from orders where created_at >= :slot_start and created_at < :slot_end group by country
select json_extract(details, '$.browser') as browser, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select details ->> '$.browser' as browser, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select json_array_length(details, '$.items') as items, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select provider || '/' || method as way, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by 1
select substr(error_code, 1, instr(error_code, '-') - 1) as family, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by 1
select count(*) as n from payments where error_code glob 'E[0-9]*' and attempted_at >= :slot_start and attempted_at < :slot_end
select "country" as "Country", count(*) as "n of orders" from "orders" where "created_at" >= :slot_start and "created_at" < :slot_end group by "country"
select `country` as n1, count(*) as n from `orders` where `created_at` >= :slot_start and `created_at` < :slot_end group by `country`
select o.country, count(*) as n from main.orders o where o.created_at >= :slot_start and o.created_at < :slot_end group by o.country
select max(count(*) - 100, 0) as above, min(count(*), 100) as capped from orders where created_at >= :slot_start and created_at < :slot_end
select country, sum(amount) over w as running from orders where created_at >= :slot_start and created_at < :slot_end window w as (partition by country order by created_at)
select country, ntile(4) over (order by amount) as quarter, dense_rank() over (order by amount) as place from orders where created_at >= :slot_start and created_at < :slot_end
select country, count(*) filter (where status = 'paid') as paid, count(*) filter (where status = 'cancelled') as cancelled from orders where created_at >= :slot_start and created_at < :slot_end group by country
select country from orders where created_at >= :slot_start and created_at < :slot_end except select country from customers
select country from orders where created_at >= :slot_start and created_at < :slot_end intersect select country from customers
select printf('%.2f', avg(latency_ms)) as mean from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select o.country, count(*) as n from orders o join payments p using (id) where o.created_at >= :slot_start and o.created_at < :slot_end group by o.country
select amount % 7 as rest, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select count(*) as n from orders where paid_at is not shipped_at and created_at >= :slot_start and created_at < :slot_end
select country, count(*) as n from orders where country collate nocase = 'gb' and created_at >= :slot_start and created_at < :slot_end group by country
select date('now', '-1 day') as yesterday, count(*) as n from orders where created_at >= :slot_start
select count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end and time(created_at) between '09:00:00' and '17:30:00'
select status, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by status order by n desc limit 10 offset 0
select o.country, c.segment, count(*) as n from orders as o, customers as c where c.id = o.customer_id and o.created_at >= :slot_start and o.created_at < :slot_end group by o.country, c.segment
select typeof(amount) as kind, length(city) as letters, round(amount, 1) as amount from orders where created_at >= :slot_start and created_at < :slot_end limit 20
select coalesce(sum(amount), 0.0) as amount, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end and nullif(status, '') is not null
select cast(amount as real) as amount, cast(id as text) as id from orders where created_at >= :slot_start and created_at < :slot_end
select j.value as sku, count(*) as n from orders o, json_each(o.details, '$.items') as j where o.created_at >= :slot_start and o.created_at < :slot_end group by j.value
