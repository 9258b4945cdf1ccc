# MySQL and MariaDB.
select date(created_at) as day, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by date(created_at)
select hour(created_at) as hour, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by hour(created_at)
select date_format(created_at, '%H:%i') as minute, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by date_format(created_at, '%H:%i')
select extract(hour from created_at) as hour, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by extract(hour from created_at)
select dayofweek(created_at) as weekday, weekday(created_at) as w, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by dayofweek(created_at), weekday(created_at)
select count(*) as n from orders where created_at >= date_sub(:slot_start, interval 1 day) and created_at < date_sub(:slot_end, interval 1 day)
select count(*) as n from orders where created_at >= :slot_start - interval 7 day and created_at < :slot_end - interval 7 day
select count(*) as n from orders where created_at >= date_add(:slot_start, interval -1 hour) and created_at < :slot_end
select avg(timestampdiff(second, shipped_at, delivered_at)) as seconds from shipments where delivered_at >= :slot_start and delivered_at < :slot_end
select avg(unix_timestamp(delivered_at) - unix_timestamp(shipped_at)) as seconds from shipments where delivered_at >= :slot_start and delivered_at < :slot_end
select count(*) as n from shipments where datediff(delivered_at, shipped_at) > 3 and delivered_at >= :slot_start and delivered_at < :slot_end
select from_unixtime(floor(unix_timestamp(created_at) / 300) * 300) as five, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1
select ifnull(error_code, 'none') as error_code, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by error_code
select provider, sum(if(status = 'ok', 1, 0)) / count(*) as success_rate from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider
select provider, sum(status = 'ok') as ok, sum(status != 'ok') as failed from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider
select provider, avg(status = 'ok') as success_rate from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider
select country, group_concat(distinct status order by status separator ',') as statuses from orders where created_at >= :slot_start and created_at < :slot_end group by country
select json_unquote(json_extract(details, '$.browser')) as browser, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by browser
select json_value(details, '$.utm.source') as source, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by source
select json_length(details, '$.items') as items, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by items
select count(*) as n from orders where json_contains(details, 'true', '$.gift') and created_at >= :slot_start and created_at < :slot_end
select `country` as `Country`, count(*) as `n of orders` from `orders` where `created_at` >= :slot_start and `created_at` < :slot_end group by `country`
select o.country, count(*) as n from shop.orders o where o.created_at >= :slot_start and o.created_at < :slot_end group by o.country
select country, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by country with rollup
select count(*) as n from payments where error_code regexp '^E[0-9]+$' and attempted_at >= :slot_start and attempted_at < :slot_end
select substring_index(error_code, '-', 1) as family, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by family
select concat(provider, '/', method) as way, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by way
select concat_ws('-', provider, method) as way, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by 1
select left(error_code, 2) as family, right(error_code, 2) as tail, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by 1, 2
select stddev_samp(latency_ms) as deviation, variance(latency_ms) as variance from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select truncate(avg(latency_ms), 1) as mean, ceil(max(latency_ms)) as most, floor(min(latency_ms)) as least from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select greatest(count(*) - 100, 0) as above, least(count(*), 100) as capped from orders where created_at >= :slot_start and created_at < :slot_end
select country, sum(amount) over w as running from orders where created_at >= :slot_start and created_at < :slot_end window w as (partition by country order by created_at)
select country, ntile(4) over (order by amount) as quarter, dense_rank() over (order by amount) as place from orders where created_at >= :slot_start and created_at < :slot_end
select convert_tz(created_at, '+00:00', '+01:00') as london, amount from orders where created_at >= :slot_start and created_at < :slot_end
select count(*) as n from orders where paid_at <=> shipped_at and created_at >= :slot_start and created_at < :slot_end
select cast(details as char(100)) as details, cast(amount as signed) as whole from orders where created_at >= :slot_start and created_at < :slot_end limit 5
select o.country, count(*) as n from orders o use index (orders_created) where o.created_at >= :slot_start and o.created_at < :slot_end group by o.country
select o.country, count(*) as n from orders o join payments p using (id) where o.created_at >= :slot_start and o.created_at < :slot_end group by o.country
select country from orders where created_at >= :slot_start and created_at < :slot_end except select country from customers
select country from orders where created_at >= :slot_start and created_at < :slot_end intersect select country from customers
select amount div 100 as hundreds, amount mod 7 as rest, amount % 3 as third, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by 1, 2, 3
select count(*) as n, current_date as today, now() - interval 5 minute as before_now, utc_timestamp() as utc from orders where created_at >= :slot_start
select yearweek(created_at, 3) as week, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by yearweek(created_at, 3)
select o.country, count(*) as n from (orders o join customers c on c.id = o.customer_id) where o.created_at >= :slot_start and o.created_at < :slot_end group by o.country
select country, count(*) as n from orders where time(created_at) between '09:00:00' and '17:30:00' and created_at >= :slot_start and created_at < :slot_end group by country
select count(*) as n from orders where amount > all (select amount from refunds where refunded_at >= :slot_start and refunded_at < :slot_end)
