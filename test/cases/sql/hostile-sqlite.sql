# SQLite.
SQL-002 attach 'evil.db' as evil
SQL-002 attach database '/tmp/bellwether-evil' as evil
SQL-002 detach main
SQL-002 pragma journal_mode = delete
SQL-002 pragma writable_schema = on
SQL-002 pragma query_only = off
SQL-002 vacuum
SQL-002 vacuum into '/tmp/bellwether-evil'
SQL-002 reindex
SQL-002 replace into orders (id) values (-7)
SQL-002 create virtual table evil using fts5(a)
SQL-001 create trigger evil after insert on orders begin delete from orders; end
SQL-002 explain query plan delete from orders
SQL-002 insert or replace into orders (id) values (-8)
SQL-006 select load_extension('evil')
SQL-006 select "load_extension"('evil')
SQL-006 select `load_extension`('evil')
SQL-006 select [load_extension]('evil')
SQL-006 select readfile('/etc/passwd')
SQL-006 select writefile('/tmp/bellwether-evil', 'x')
SQL-006 select edit('x')
SQL-006 select fts3_tokenizer('simple', 'x')
SQL-006 select randomblob(1000000000)
SQL-006 select zeroblob(1000000000)
SQL-006 select last_insert_rowid()
SQL-006 select changes()
SQL-006 select total_changes()
SQL-006 select sqlite_version()
SQL-006 select sqlite_compileoption_get(1)
SQL-006 select * from pragma_table_info('orders')
SQL-006 select 1 where 1 in pragma_table_info('orders')
SQL-006 select * from generate_series(1, 1000000000000)
SQL-006 select count(*) from orders order by writefile('/tmp/bellwether-evil', 'x')
SQL-006 with x as (select writefile('/tmp/bellwether-evil', 'x') as a) select a from x
SQL-010 select @a
SQL-010 select $a
SQL-010 select ?1
SQL-030 select sql from sqlite_master
SQL-030 select sql from main.sqlite_schema
SQL-030 select * from pragma_database_list
SQL-030 select * from "pragma_database_list"
SQL-030 select * from [sqlite_master]
SQL-030 select * from dbstat
SQL-031 select x'41'
SQL-031 select 1 # 2
SQL-031 select 0x10
SQL-031 select [a"b] from orders
SQL-032 select amount::int from orders
SQL-032 select * from orders indexed by evil
SQL-032 select date(1) match 2 from orders
