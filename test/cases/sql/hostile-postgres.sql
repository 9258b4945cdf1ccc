# PostgreSQL.
SQL-002 with d as (delete from orders returning id) select count(*) from d
SQL-002 with d as (insert into orders (id) values (-4) returning id) select * from d
SQL-002 with d as (update orders set amount = 0 returning id) select * from d
SQL-002 with a as (select 1), d as (with x as (delete from orders returning 1) select * from x) select * from d
SQL-002 copy orders to '/tmp/bellwether-evil'
SQL-002 copy orders from '/etc/passwd'
SQL-002 copy (select 1) to program 'touch /tmp/bellwether-evil'
SQL-031 do $$ begin delete from orders; end $$
SQL-002 do 'begin delete from orders; end'
SQL-002 call wipe()
SQL-002 set statement_timeout = 0
SQL-002 set session characteristics as transaction read write
SQL-002 set transaction read write
SQL-002 set role postgres
SQL-002 reset all
SQL-002 discard all
SQL-002 show all
SQL-002 listen evil
SQL-002 notify evil, 'x'
SQL-002 lock table orders in access exclusive mode
SQL-002 truncate orders
SQL-002 vacuum orders
SQL-002 reindex table orders
SQL-002 cluster orders
SQL-002 refresh materialized view report
SQL-002 prepare evil as delete from orders
SQL-002 execute evil
SQL-002 deallocate all
SQL-002 declare evil cursor with hold for select 1
SQL-002 explain analyze delete from orders
SQL-002 explain (analyze) select pg_sleep(10)
SQL-002 create extension dblink
SQL-002 create function evil() returns int language sql as 'select 1'
SQL-002 create temp table evil (a int)
SQL-002 grant all on orders to public
SQL-002 security label on table orders is 'x'
SQL-002 comment on table orders is 'x'
SQL-002 merge into orders using customers c on c.id = orders.customer_id when matched then delete
SQL-002 table orders
SQL-003 select * from orders for update
SQL-003 select * from orders for no key update
SQL-003 select * from orders for share of orders nowait
SQL-003 select * from orders for key share skip locked
SQL-003 select * from (select id from orders for update) x
SQL-004 select 1 as a into temp evil
SQL-004 select 1 as a into unlogged evil
SQL-004 select 1 as a into table evil union select 2
SQL-006 select lo_create(0)
SQL-006 select lo_creat(-1)
SQL-006 select lo_from_bytea(0, '\x00')
SQL-006 select lo_import('/etc/passwd')
SQL-006 select lo_export(1, '/tmp/bellwether-evil')
SQL-006 select lo_unlink(oid) from pg_largeobject_metadata
SQL-006 select lo_put(1, 0, 'x')
SQL-006 select set_config('statement_timeout', '0', false)
SQL-006 select set_config('default_transaction_read_only', 'off', false)
SQL-006 select pg_catalog.set_config('transaction_read_only', 'off', true)
SQL-006 select "set_config"('work_mem', '1GB', false)
SQL-006 select pg_sleep(10)
SQL-006 select count(*) from orders where pg_sleep(10) is not null
SQL-006 select pg_sleep_for('10 seconds')
SQL-006 select pg_sleep_until(now() + interval '10 seconds')
SQL-006 select pg_read_file('/etc/passwd')
SQL-006 select pg_read_binary_file('/etc/passwd')
SQL-006 select pg_ls_dir('/')
SQL-006 select * from pg_ls_dir('/') as f
SQL-006 select pg_stat_file('/etc/passwd')
SQL-006 select pg_file_write('/tmp/bellwether-evil', 'x', false)
SQL-006 select * from dblink('dbname=shop', 'delete from orders') as t(a int)
SQL-006 select dblink_exec('dbname=shop', 'delete from orders')
SQL-006 select query_to_xml('delete from orders returning id', true, false, '')
SQL-006 select query_to_xml_and_xmlschema('select lo_create(0)', true, false, '')
SQL-006 select cursor_to_xml('x', 1, true, false, '')
SQL-006 select table_to_xml('orders', true, false, '')
SQL-006 select database_to_xml(true, false, '')
SQL-006 select wipe()
SQL-006 select public.wipe()
SQL-006 select * from wipe()
SQL-006 select count(*) from orders order by wipe()
SQL-006 select count(*) from orders group by wipe()
SQL-006 select case when true then wipe() end
SQL-006 select count(*) filter (where wipe() is null) from orders
SQL-006 select sum(amount) over (order by wipe()) from orders
SQL-006 select coalesce(null, lo_create(0))
SQL-006 select 1 limit (select lo_create(0)::bigint)
SQL-006 with x as (select lo_create(0) as a) select a from x
SQL-006 select * from orders o, lateral (select set_config('work_mem', o.country, false)) x
SQL-006 select exists (select lo_create(0))
SQL-006 select array(select lo_create(0))
SQL-006 select nextval('orders_id_seq')
SQL-006 select setval('orders_id_seq', 1)
SQL-006 select pg_advisory_lock(1)
SQL-006 select pg_advisory_xact_lock(1)
SQL-006 select pg_try_advisory_lock_shared(1)
SQL-006 select pg_notify('evil', 'x')
SQL-006 select txid_current()
SQL-006 select pg_current_xact_id()
SQL-006 select pg_terminate_backend(pid) from pg_stat_activity
SQL-006 select pg_cancel_backend(1)
SQL-006 select pg_reload_conf()
SQL-006 select pg_rotate_logfile()
SQL-006 select pg_switch_wal()
SQL-006 select pg_create_restore_point('evil')
SQL-006 select pg_logical_emit_message(false, 'evil', 'x')
SQL-006 select pg_export_snapshot()
SQL-006 select pg_stat_reset()
SQL-006 select pg_promote()
SQL-006 select current_setting('is_superuser')
SQL-006 select current_user
SQL-006 select session_user
SQL-006 select repeat('x', 1000000000)
SQL-006 select lpad('x', 1000000000)
SQL-006 select format('%1000000000s', 'x')
SQL-006 select 'orders'::regclass
SQL-006 select cast('wipe()' as regprocedure)
SQL-006 select regproc 'lo_create'
SQL-006 select 1 operator(public.+) 2
SQL-006 select 1 @@@ 2
SQL-006 select 1 <-> 2
SQL-006 select ts_stat('select lo_create(0)')
SQL-006 select * from ts_stat('delete from orders')
SQL-006 select xpath_table('id', 'x', 'orders', '/', 'true')
SQL-006 select crosstab('delete from orders')
SQL-030 select * from pg_authid
SQL-030 select usename, passwd from pg_catalog.pg_shadow
SQL-030 select * from pg_stat_activity
SQL-030 select * from pg_settings
SQL-030 select table_name from information_schema.tables
SQL-031 select e'\'; drop table orders; --'
SQL-031 select 'a\' || lo_create(0) || '
SQL-031 select $$x$$
SQL-010 select $x$; drop table orders; $x$
SQL-031 select U&'\0027'
SQL-031 select U&"lo_cr\0065ate"(0)
SQL-031 select B'1'
SQL-031 select `lo_create`(0)
SQL-032 select * from orders tablesample system (1)
SQL-032 select (o).country from orders o
SQL-032 select xmlelement(name evil, 'x')
SQL-032 select * from xmltable('/x' passing '<x/>' columns a int)
SQL-032 select * from other.shop.orders
SQL-032 select * from orders where current of evil
