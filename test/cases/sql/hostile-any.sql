# One statement a line after the code that it is refused by; \u{a} stands for a character. None may ever be accepted, in
# any dialect, and none may change anything on a real server when our parser is switched off.
SQL-001 select 1; drop table orders
SQL-001 select 1;; delete from orders
SQL-001 select 1 /* ; */ ; /* x */ delete from orders
SQL-001 select 1 --\u{a}; drop table orders
SQL-001 select 1; commit; delete from orders
SQL-001 commit; delete from orders; select 1
SQL-001 rollback; insert into orders (id) values (-1); select 1
SQL-002 
SQL-002 -- select 1
SQL-002 insert into orders (id) values (-1)
SQL-002 insert into orders (id) select -2
SQL-002 update orders set amount = 0
SQL-002 delete from orders
SQL-002 drop table orders
SQL-002 drop view report
SQL-002 create table evil (a int)
SQL-002 create table evil as select 1 as a
SQL-002 create view evil as select 1 as a
SQL-002 create index evil on orders (amount)
SQL-002 alter table orders add column evil int
SQL-002 alter table orders rename to gone
SQL-002 with d as (select 1) delete from orders
SQL-002 with d as (select 1 as n) update orders set amount = 0
SQL-002 with d as (select -3 as n) insert into orders (id) select n from d
SQL-002 begin
SQL-002 commit
SQL-002 savepoint a
SQL-002 analyze
SQL-002 explain select 1
SQL-002 values (1)
SQL-002 sel/**/ect 1
SQL-002 \u{ff53}elect 1
SQL-004 select amount into evil from orders
SQL-010 select count(*) from orders where amount = ?
SQL-010 select count(*) from orders where country = '${country}'
SQL-010 select count(*) from ${table}
SQL-010 select count(*) from orders where created_at >= ':slot_start'
SQL-010 select count(*) from orders where created_at >= :slot_begin
SQL-031 select 1\u{ff1b} drop table orders
SQL-031 select 1\u{37e} drop table orders
SQL-031 select 1\u{0}; drop table orders
SQL-031 select 1 from orders\u{0}
SQL-031 select\u{a0}1
SQL-031 select 1\u{200b} from orders
SQL-031 select 'x\u{202e}' as a from orders
SQL-031 select 1 /* a /* b */ delete from orders */
SQL-031 select 1 /* never closed
SQL-031 select 'never closed
SQL-031 select count\u{ff08}*) from orders
SQL-031 select s\u{131}gn(1)
SQL-032 with recursive n as (select 1 as i union all select i + 1 from n) select count(*) from n
SQL-006 select no_such_function(1)
SQL-006 select "no_such_function"(1)
