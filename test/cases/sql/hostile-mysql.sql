# MySQL and MariaDB.
SQL-001 select 1; set global general_log = 1
SQL-002 replace into orders (id) values (-5)
SQL-002 call wipe()
SQL-002 do sleep(10)
SQL-002 do release_all_locks()
SQL-002 load data infile '/etc/passwd' into table orders
SQL-002 load data local infile '/etc/passwd' into table orders
SQL-002 handler orders open
SQL-002 set statement max_statement_time = 0 for select sleep(10)
SQL-002 set statement max_statement_time = 0 for delete from orders
SQL-002 set global read_only = 0
SQL-002 set @a = 1
SQL-002 set sql_mode = ''
SQL-002 set names gbk
SQL-002 use mysql
SQL-002 show variables
SQL-002 show grants
SQL-002 prepare evil from 'delete from orders'
SQL-002 execute evil
SQL-002 execute immediate 'delete from orders'
SQL-002 analyze insert into orders (id) values (-6)
SQL-002 analyze format=json select sleep(10)
SQL-002 analyze table orders
SQL-002 explain select * from (select sleep(10)) x
SQL-002 explain format=json select benchmark(100000000, md5('x'))
SQL-002 optimize table orders
SQL-002 repair table orders
SQL-002 check table orders
SQL-002 flush tables with read lock
SQL-002 lock tables orders write
SQL-002 unlock tables
SQL-002 kill 1
SQL-002 install plugin evil soname 'evil.so'
SQL-002 create procedure evil() delete from orders
SQL-002 create event evil on schedule every 1 second do delete from orders
SQL-002 create temporary table evil (a int)
SQL-002 rename table orders to gone
SQL-002 truncate table orders
SQL-002 grant all on *.* to public
SQL-002 start transaction read write
SQL-002 xa start 'evil'
SQL-001 begin not atomic delete from orders; end
SQL-002 delimiter //
SQL-003 select * from orders for update
SQL-003 select * from orders for share
SQL-003 select * from orders lock in share mode
SQL-003 select * from (select id from orders for update) x
SQL-003 select * from orders for update skip locked
SQL-004 select * from orders into outfile '/tmp/bellwether-evil'
SQL-004 select country into dumpfile '/tmp/bellwether-evil' from orders limit 1
SQL-004 select count(*) into @a from orders
SQL-004 select * into outfile '/tmp/bellwether-evil' fields terminated by ',' from orders
SQL-004 select 1 union select 2 into outfile '/tmp/bellwether-evil'
SQL-005 select /*! sleep(10), */ 1
SQL-005 select /*!50000 sleep(10), */ 1
SQL-005 select /*M! sleep(10), */ 1
SQL-005 select /*M!100100 sleep(10), */ 1
SQL-005 /*! delete from orders */
SQL-005 select 1 /*!; delete from orders */
SQL-005 select 1 from orders /*! into outfile '/tmp/bellwether-evil' */
SQL-005 select 1 /*!99999 */ from orders /*! for update */
SQL-005 select /*+ SET_VAR(max_execution_time = 0) */ count(*) from orders
SQL-005 select /*+ MAX_EXECUTION_TIME(0) */ count(*) from orders
SQL-006 select sleep(10)
SQL-006 select sleep (10)
SQL-006 select SLEEP/**/(10)
SQL-006 select sleep -- x\u{a}(10)
SQL-006 select `sleep`(10)
SQL-006 select * from orders where sleep(10) = 0
SQL-006 select count(*) from orders group by country having sleep(10) = 0
SQL-006 select count(*) from orders order by sleep(10)
SQL-006 select if(sleep(10), 1, 2)
SQL-006 select * from (select sleep(10) as s) x
SQL-006 select (select sleep(10)) as s
SQL-006 with x as (select sleep(10) as s) select s from x
SQL-006 select 1 union all select sleep(10)
SQL-006 select benchmark(100000000, md5('x'))
SQL-006 select get_lock('evil', 10)
SQL-006 select release_lock('evil')
SQL-006 select release_all_locks()
SQL-006 select is_free_lock('evil')
SQL-006 select load_file('/etc/passwd')
SQL-006 select wipe()
SQL-006 select shop.wipe()
SQL-006 select `shop`.`wipe`()
SQL-006 select master_pos_wait('x', 1, 10)
SQL-006 select master_gtid_wait('0-1-1', 10)
SQL-006 select last_insert_id(5)
SQL-006 select nextval(orders_seq)
SQL-006 select next value for orders_seq
SQL-006 select previous value for orders_seq
SQL-006 select orders_seq.nextval
SQL-006 select setval(orders_seq, 1)
SQL-006 select sys_exec('touch /tmp/bellwether-evil')
SQL-006 select sys_eval('id')
SQL-006 select user()
SQL-006 select current_user
SQL-006 select current_user()
SQL-006 select database()
SQL-006 select connection_id()
SQL-006 select extractvalue(1, concat('~', (select 1)))
SQL-006 select updatexml(1, '~', 1)
SQL-006 select repeat('x', 1000000000)
SQL-006 select space(1000000000)
SQL-006 select name_const('a', 1)
SQL-006 select uuid_short()
SQL-006 select des_encrypt('x')
SQL-006 select encrypt('x')
SQL-006 select default(amount) from orders
SQL-006 select values(amount) from orders
SQL-010 select @@version
SQL-010 select @@global.secure_file_priv
SQL-010 select @a := 1
SQL-010 select @a
SQL-010 select count(*) from orders where (@a := @a + 1) > 0
SQL-030 select user, password from mysql.user
SQL-030 select * from information_schema.processlist
SQL-030 select * from performance_schema.events_statements_history
SQL-030 select * from sys.session
SQL-030 select * from `mysql`.`user`
SQL-031 select 'a\' or sleep(10) -- '
SQL-031 select '\\' or sleep(10) -- '
SQL-031 select "a", sleep(10)
SQL-031 select 1 # x\u{a}, sleep(10)
SQL-031 select 1 --1, sleep(10)
SQL-031 select _utf8'x'
SQL-031 select _utf8 'x'
SQL-031 select N'x'
SQL-031 select x'41'
SQL-031 select b'1'
SQL-031 select 0x736c656570
SQL-031 select 'a' 'b'
SQL-031 select {fn sleep(10)}
SQL-031 select {d '2026-01-01'}
SQL-031 select \N
SQL-032 select 1 from orders procedure analyse()
SQL-032 select sql_calc_found_rows * from orders
SQL-032 select high_priority * from orders
SQL-006 select * from orders partition (p0)
SQL-006 select * from json_table('[1]', '$[*]' columns (a int path '$')) j
