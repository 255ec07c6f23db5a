-- First rows of an organisation may be copied straight into these tables, and a COPY tells no time.

alter table vcc.address
  alter column first_seen_at set default statement_timestamp(),
  alter column changed_at set default statement_timestamp();
alter table vcc.supply_point
  alter column first_seen_at set default statement_timestamp(),
  alter column changed_at set default statement_timestamp();
alter table vcc.subscriber
  alter column first_seen_at set default statement_timestamp(),
  alter column changed_at set default statement_timestamp();
alter table vcc.meter
  alter column first_seen_at set default statement_timestamp(),
  alter column changed_at set default statement_timestamp();
