# One query a line, as people write them for samplers; accepted in every dialect and prepared on the real servers.
select count(*) as orders from orders where created_at >= :slot_start and created_at < :slot_end
select country, count(*) as orders, sum(amount) as amount from orders where created_at >= :slot_start and created_at < :slot_end group by country
SELECT o.country, o.channel, COUNT(*) AS n FROM orders o WHERE o.created_at >= :slot_start AND o.created_at < :slot_end GROUP BY o.country, o.channel ORDER BY n DESC LIMIT 100
select country, count(distinct customer_id) as buyers from orders where created_at >= :slot_start and created_at < :slot_end group by country
select provider, avg(case when status = 'ok' then 1.0 else 0.0 end) as success_rate, count(*) as attempts from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider
select provider, sum(case when status = 'ok' then 1 else 0 end) as ok, sum(case when status <> 'ok' then 1 else 0 end) as failed from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider
select provider, 100.0 * sum(case when status = 'ok' then 1 else 0 end) / nullif(count(*), 0) as percent_ok from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider
select coalesce(error_code, 'none') as error_code, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by coalesce(error_code, 'none')
select p.provider, count(*) as n, sum(p.amount) as amount from payments p join orders o on o.id = p.order_id where p.attempted_at >= :slot_start and p.attempted_at < :slot_end and o.country in ('GB', 'DE', 'FR') group by p.provider
select c.segment, sum(o.amount) as revenue from orders o inner join customers c on c.id = o.customer_id where o.created_at >= :slot_start and o.created_at < :slot_end group by c.segment having sum(o.amount) > 0
select o.country, count(*) as orders, count(r.id) as refunds from orders o left join refunds r on r.order_id = o.id where o.created_at >= :slot_start and o.created_at < :slot_end group by o.country
select o.country, count(*) as unpaid from orders o left outer join payments p on p.order_id = o.id and p.status = 'ok' where o.created_at >= :slot_start and o.created_at < :slot_end and p.id is null group by o.country
select count(*) as orders_without_items from orders o where o.created_at >= :slot_start and o.created_at < :slot_end and not exists (select 1 from order_items i where i.order_id = o.id)
select count(*) as n from orders where created_at between :slot_start and :slot_end
select count(*) as n from orders where amount between 10 and 500 and created_at >= :slot_start and created_at < :slot_end
select count(*) as n from orders where status not in ('cancelled', 'draft') and created_at >= :slot_start and created_at < :slot_end
select count(*) as n from customers where email like '%@example.com' and created_at >= :slot_start and created_at < :slot_end
select count(*) as n from customers where name is not null and created_at >= :slot_start and created_at < :slot_end
select min(latency_ms) as fastest, max(latency_ms) as slowest, avg(latency_ms) as mean from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select round(avg(latency_ms), 2) as mean_ms from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select provider, method, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider, method order by provider, method
with paid as (select order_id, sum(amount) as amount from payments where status = 'ok' and attempted_at >= :slot_start and attempted_at < :slot_end group by order_id) select count(*) as orders, sum(amount) as amount from paid
with o as (select country, amount from orders where created_at >= :slot_start and created_at < :slot_end), c as (select country, count(*) as n, sum(amount) as amount from o group by country) select country, n, amount from c where n > 0
with recent as (select id, country from orders where created_at >= :slot_start and created_at < :slot_end) select r.country, count(p.id) as payments from recent r left join payments p on p.order_id = r.id group by r.country
select 'orders' as kind, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end union all select 'refunds', count(*) from refunds where refunded_at >= :slot_start and refunded_at < :slot_end
select country from orders where created_at >= :slot_start and created_at < :slot_end union select country from customers where created_at >= :slot_start and created_at < :slot_end
select x.country, sum(x.n) as n from (select country, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by country union all select country, count(*) from customers where created_at >= :slot_start and created_at < :slot_end group by country) x group by x.country
select t.country, t.n from (select country, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by country) as t where t.n >= 5
select count(*) as n from orders where customer_id in (select id from customers where segment = 'business') and created_at >= :slot_start and created_at < :slot_end
select (select count(*) from orders where created_at >= :slot_start and created_at < :slot_end) as orders, (select count(*) from refunds where refunded_at >= :slot_start and refunded_at < :slot_end) as refunds
select country, amount, row_number() over (partition by country order by amount desc) as place from orders where created_at >= :slot_start and created_at < :slot_end
select country, sum(amount) as amount, sum(sum(amount)) over () as total from orders where created_at >= :slot_start and created_at < :slot_end group by country
select country, n from (select country, count(*) as n, rank() over (order by count(*) desc) as place from orders where created_at >= :slot_start and created_at < :slot_end group by country) ranked where place <= 10
select provider, latency_ms - lag(latency_ms) over (partition by provider order by attempted_at) as change_ms from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select provider, avg(latency_ms) over (partition by provider order by attempted_at rows between 4 preceding and current row) as moving from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select provider, first_value(status) over (partition by provider order by attempted_at desc) as latest from payments where attempted_at >= :slot_start and attempted_at < :slot_end
select case when amount < 50 then 'small' when amount < 500 then 'medium' else 'large' end as size, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by case when amount < 50 then 'small' when amount < 500 then 'medium' else 'large' end
select case status when 'ok' then 'good' when 'declined' then 'bad' else 'other' end as outcome, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by status
select upper(country) as country, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by upper(country)
select lower(trim(city)) as city, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by lower(trim(city))
select substr(error_code, 1, 2) as family, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by substr(error_code, 1, 2)
select replace(provider, '-', '_') as provider, count(*) as n from payments where attempted_at >= :slot_start and attempted_at < :slot_end group by provider
select count(*) as n, sum(amount * 1.2) as gross, sum(amount) - sum(amount * 0.05) as net from orders where created_at >= :slot_start and created_at < :slot_end
select cast(sum(amount) as decimal(12, 2)) as amount from orders where created_at >= :slot_start and created_at < :slot_end
select p.category, sum(i.quantity) as sold, sum(i.quantity * i.price) as revenue from order_items i join products p on p.id = i.product_id join orders o on o.id = i.order_id where o.created_at >= :slot_start and o.created_at < :slot_end group by p.category order by revenue desc
select carrier, count(*) as late from shipments where shipped_at >= :slot_start and shipped_at < :slot_end and (delivered_at is null or status = 'late') group by carrier
select count(*) as n from orders where (country = 'GB' or country = 'IE') and not (status = 'test') and created_at >= :slot_start and created_at < :slot_end
select distinct country from orders where created_at >= :slot_start and created_at < :slot_end
select branch, count(*) as open_loans, sum(principal) as principal from loans where status = 'open' group by branch
select branch, sum(case when days_late > 30 then principal else 0 end) / nullif(sum(principal), 0) as par30 from loans group by branch
select category, sum(stock) as stock from products where stock < 10 group by category
select a.country, a.n as orders, b.n as customers from (select country, count(*) as n from orders where created_at >= :slot_start and created_at < :slot_end group by country) a left join (select country, count(*) as n from customers group by country) b on b.country = a.country
select o.id, o.amount from orders o where o.amount > (select avg(amount) from orders where created_at >= :slot_start and created_at < :slot_end) and o.created_at >= :slot_start and o.created_at < :slot_end
select device, count(*) as sessions, avg(pages) as pages from sessions where started_at >= :slot_start and started_at < :slot_end group by device -- phones and others
/* refunds by reason */ select reason, count(*) as n, sum(amount) as amount from refunds where refunded_at >= :slot_start and refunded_at < :slot_end group by reason;
select count(*) as n, abs(sum(amount)) as amount from refunds where refunded_at >= :slot_start and refunded_at < :slot_end and reason <> 'it''s a test; delete from x'
select 1 as alive
