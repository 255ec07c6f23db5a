-- What analysts and reports read: schema `reporting`, a contract that is added to and never changed.
--
-- The views run with the rights of the role that migrated, so a reader needs none on schema `vcc`. They
-- hide columns, not rows, and names and numbers are masked in what they give out (keys and codes are not: what
-- slipped into one by mistake is shown): whatever a reader
-- filters by, or calls, only ever gets the masked value. So they need no security_barrier, which would
-- keep every filter that is not leakproof from the indexes.
--
-- Functions have bodies that are bound when they are made (`return`): a text body would be read anew in
-- the reader's session, by the reader's search_path, and could be made to call the reader's functions.

create schema if not exists reporting;
comment on schema reporting is 'views for readers: a contract, added to and never changed';

---- What the views must know of the service

create table vcc.code (
  dataset text collate "C" not null,
  column_name text collate "C" not null,
  code text collate "C" not null,
  zh text not null,
  en text not null,
  constraint code_pkey primary key (dataset, column_name, code)
);
comment on table vcc.code is 'the document''s code lists; migrate fills it from the catalogue in src/datasets';
comment on column vcc.code.dataset is 'dataset that has the column';
comment on column vcc.code.column_name is 'column whose values are codes';
comment on column vcc.code.code is 'value, as delivered';
comment on column vcc.code.zh is 'what it means, in the document''s words';
comment on column vcc.code.en is 'what it means, in English';

create table vcc.service_setting (
  one boolean not null default true,
  every interval not null,
  settle interval not null,
  noted_at timestamptz not null default now(),
  constraint service_setting_pkey primary key (one),
  constraint service_setting_one_row check (one),
  constraint service_setting_every_positive check (every > interval '0'),
  constraint service_setting_settle_not_negative check (settle >= interval '0')
);
comment on table vcc.service_setting is 'settings by which gaps are told, as noted by whoever migrated or started last; one row';
comment on column vcc.service_setting.every is 'SYNC_EVERY: interval of feeds that have none of their own';
comment on column vcc.service_setting.settle is 'SYNC_SETTLE: how far behind now the newest window ends';

insert into vcc.service_setting (every, settle) values (interval '15 minutes', interval '30 seconds');

---- Indexes

-- From parent to children; of their columns' collation, or an index would not be asked.
create index address_parent_idx on vcc.address (org_code, parent_address_code);
create index supply_point_building_idx on vcc.supply_point (org_code, building_code);
create index subscriber_address_idx on vcc.subscriber (org_code, address_code);
create index meter_subscriber_idx on vcc.meter (org_code, subscriber_code);

-- Flags are rare: these stay small.
create index address_flagged_idx on vcc.address (org_code) where flags is not null;
create index supply_point_flagged_idx on vcc.supply_point (org_code) where flags is not null;
create index subscriber_flagged_idx on vcc.subscriber (org_code) where flags is not null;
create index meter_flagged_idx on vcc.meter (org_code) where flags is not null;

-- By the day in China, as `daily_volume` counts.
create index run_day_idx on vcc.run (((finished_at at time zone interval '08:00')::date));

---- Masking

create function vcc.sees_whole() returns boolean
language sql stable parallel safe
return exists (select from pg_catalog.pg_roles r where r.rolname = 'vcc_reader_full' and pg_has_role(r.oid, 'usage'))
  or has_table_privilege('vcc.subscriber'::regclass, 'select');
comment on function vcc.sees_whole() is 'whether the session may see names and numbers: a member of vcc_reader_full, or who reads the tables themselves';

create function vcc.bare_name(name text) returns text
language sql immutable strict parallel safe
return btrim(name, E' \t\u00a0\u3000');
comment on function vcc.bare_name(text) is 'a name without the blanks around it, wide ones included: it is stored as it came';

create function vcc.masked_name(name text) returns text
language sql immutable strict parallel safe
return case when char_length(vcc.bare_name(name)) > 1 then left(vcc.bare_name(name), 1) else '' end || '**';
comment on function vcc.masked_name(text) is 'a name as the platform masks it: 张**, however long it is';

create function vcc.masked_number(number text) returns text
language sql immutable strict parallel safe
-- A name may stand beside the number: nothing is shown of what is not a number alone.
return case when number ~ '^[0-9 ()/,;+-]{11,}$' then left(number, 3) || '****' || right(number, 4) else '****' end;
comment on function vcc.masked_number(text) is 'a phone number as 136****0001; one that is too short for that, or holds anything else, whole';

create function vcc.masked_text(free text, name text) returns text
language sql immutable parallel safe
-- The name goes first, as a number may stand in it, and last where it is a number that may stand in another.
return replace(
  regexp_replace(
    case when vcc.bare_name(name) ~ '[^0-9]' then replace(free, vcc.bare_name(name), vcc.masked_name(name)) else free end,
    '[0-9０-９]{7,}|1[3-9][0-9]([ -]?[0-9]{4}){2}', '****', 'g'),
  coalesce(vcc.bare_name(name), ''), coalesce(vcc.masked_name(name), ''));
comment on function vcc.masked_text(text, text) is 'free text without seven digits or more in a row, a mobile number with blanks or hyphens, and the name that must not be in it; other names, parts of that one and other numbers it can not tell';

---- Completeness: what src/core/coverage.ts and health.ts say, held equal by a test

create function vcc.reach(moment timestamptz) returns timestamptz
language sql immutable strict parallel safe
return (((moment at time zone interval '08:00')::date - interval '1 month')::date + 1)::timestamp at time zone interval '08:00';
comment on function vcc.reach(timestamptz) is 'earliest time that the platform still serves: the first midnight in China after the same day of last month';

create function vcc.recoverable_until(moment timestamptz) returns timestamptz
language sql immutable strict parallel safe
return (((moment at time zone interval '08:00')::date + interval '1 month')::date
  -- The next month may be too short for that day.
  + case when extract(day from (moment at time zone interval '08:00')::date + interval '1 month')
      < extract(day from moment at time zone interval '08:00') then 1 else 0 end
  )::timestamp at time zone interval '08:00';
comment on function vcc.recoverable_until(timestamptz) is 'the inverse of reach: the first midnight in China at which a time can no longer be had';

create function vcc.complete_through(since timestamptz, coverage tstzmultirange, accepted tstzmultirange) returns timestamptz
language sql immutable parallel safe
return coalesce((select upper(one) from unnest(coverage + accepted) as one where one @> since), since);
comment on function vcc.complete_through(timestamptz, tstzmultirange, tstzmultirange) is 'end of the stretch that is covered without a hole from since on; accepted gaps bridge';

create function vcc.gap_end(now timestamptz, every interval, settle interval) returns timestamptz
language sql immutable strict parallel safe
-- In seconds: a day must not be shorter where and when clocks are put forward.
return least(
  date_trunc('second', now - make_interval(secs => extract(epoch from settle)::float8)),
  now - make_interval(secs => extract(epoch from 2 * every + settle)::float8)
);
comment on function vcc.gap_end(timestamptz, interval, interval) is 'what is younger than this and lacks is work, not a gap: twice the interval and the settle time before now';

create function vcc.uncovered(since timestamptz, until timestamptz, coverage tstzmultirange) returns tstzmultirange
language sql immutable parallel safe
return case when since < until then tstzmultirange(tstzrange(since, until)) - coverage else '{}' end;
comment on function vcc.uncovered(timestamptz, timestamptz, tstzmultirange) is 'what lacks of [since, until)';

create function vcc.holds(since timestamptz, baseline_at timestamptz, coverage tstzmultirange, accepted tstzmultirange) returns text
language sql stable parallel safe
return (
  select case
      when f.baseline_at is null then 'changes only since ' || t.moment
      when h.holes = '{}' then 'all'
      else 'all as of ' || t.moment
    end || case when h.holes = '{}' then '' when h.holes - accepted = '{}' then ', less accepted gaps' else ', with gaps' end
  from (
    select holds.baseline_at, coalesce(holds.baseline_at,
      case when since is not null then lower(coverage * tstzmultirange(tstzrange(since, null))) end) as moment
  ) as f
  cross join lateral (select vcc.uncovered(f.moment, upper(coverage), coverage) as holes) as h
  cross join lateral (select to_char(f.moment at time zone interval '08:00', 'YYYY-MM-DD HH24:MI:SS') as moment) as t
);
comment on function vcc.holds(timestamptz, timestamptz, tstzmultirange, tstzmultirange) is 'what a feed holds: all, or only changes, and whether something lacks of it; as src/core/holding.ts says. Times are those of China';

create view vcc.feed_now as
select f.id as feed_id, f.org_code, o.name as org_name, f.dataset, o.enabled and f.enabled as enabled, f.paused,
  f.since, f.baseline_at, f.coverage, a.accepted, f.consecutive_failures, f.last_error_code, n.now,
  vcc.complete_through(f.since, f.coverage, a.accepted) as complete_through,
  vcc.uncovered(f.since, e.gap_end, f.coverage) as holes
from vcc.feed f
join vcc.org o on o.org_code = f.org_code
cross join vcc.service_setting s
-- The platform's time, as the command line reckons it.
cross join (
  select now() + make_interval(secs => coalesce((
    select p.clock_skew from vcc.platform_state p
    order by coalesce(p.probe_at >= now() - interval '10 minutes', false) desc, p.blocked_since desc nulls first
    limit 1), 0)) as now
) as n
cross join lateral (select vcc.gap_end(n.now, coalesce(f.every, s.every), s.settle) as gap_end) as e
cross join lateral (
  select coalesce(range_agg(g.during), '{}') as accepted from vcc.gap_acceptance g where g.feed_id = f.id
) as a;
comment on view vcc.feed_now is 'what freshness, gap and orphan are told by';

create view reporting.gap as
select f.org_code, f.dataset, part.state, lower(one) as gap_from, upper(one) as gap_to, upper(one) - lower(one) as length,
  case part.state when 'open' then vcc.recoverable_until(lower(one)) end as recoverable_until
from vcc.feed_now f
cross join lateral (values
  ('expired', tstzmultirange(tstzrange(null, vcc.reach(f.now)))),
  ('open', tstzmultirange(tstzrange(vcc.reach(f.now), null)))
) as part (state, during)
cross join lateral unnest((f.holes - f.accepted) * part.during) as one;
comment on view reporting.gap is 'what is missing of the source time that was promised; the same as vcc-sync gaps';
comment on column reporting.gap.org_code is 'organisation';
comment on column reporting.gap.dataset is 'addresses, supply_points, subscribers or meters';
comment on column reporting.gap.state is 'open: the service can still load it; expired: older than the platform serves, only an import closes it';
comment on column reporting.gap.gap_from is 'start, source time';
comment on column reporting.gap.gap_to is 'end, not included';
comment on column reporting.gap.length is 'its length';
comment on column reporting.gap.recoverable_until is 'when its start drops out of the platform''s reach; null once expired';

create view reporting.freshness as
select f.org_code, f.org_name, f.dataset, f.enabled, f.paused, f.complete_through, upper(f.coverage) as watermark,
  case when f.complete_through is not null then greatest(f.now - f.complete_through, interval '0') end as lag, f.since, f.baseline_at,
  g.open_gaps, g.open_gap_time, g.expired_gaps, g.expired_gap_time, g.recoverable_until,
  (select coalesce(sum(upper(one) - lower(one)), interval '0') from unnest(f.holes * f.accepted) as one) as accepted_gap_time,
  (select count(*) from vcc.reject j where j.feed_id = f.feed_id and j.resolved_at is null) as unresolved_rejects,
  case f.dataset
    when 'addresses' then (select count(*) from vcc.address r where r.org_code = f.org_code and r.flags is not null)
    when 'supply_points' then (select count(*) from vcc.supply_point r where r.org_code = f.org_code and r.flags is not null)
    when 'subscribers' then (select count(*) from vcc.subscriber r where r.org_code = f.org_code and r.flags is not null)
    when 'meters' then (select count(*) from vcc.meter r where r.org_code = f.org_code and r.flags is not null)
  end as flagged_rows,
  (select r.finished_at from vcc.run r where r.feed_id = f.feed_id and r.status = 'done' order by r.id desc limit 1) as last_loaded_at,
  f.consecutive_failures, f.last_error_code, vcc.holds(f.since, f.baseline_at, f.coverage, f.accepted) as holds
from vcc.feed_now f
left join lateral (
  select count(*) filter (where h.state = 'open') as open_gaps,
    coalesce(sum(h.length) filter (where h.state = 'open'), interval '0') as open_gap_time,
    count(*) filter (where h.state = 'expired') as expired_gaps,
    coalesce(sum(h.length) filter (where h.state = 'expired'), interval '0') as expired_gap_time,
    min(h.recoverable_until) as recoverable_until
  from reporting.gap h where h.org_code = f.org_code and h.dataset = f.dataset
) as g on true;
comment on view reporting.freshness is 'how complete each dataset of each organisation is: look here before trusting a number; the same as vcc-sync status';
comment on column reporting.freshness.org_code is 'organisation';
comment on column reporting.freshness.org_name is 'its name for people';
comment on column reporting.freshness.dataset is 'addresses, supply_points, subscribers or meters';
comment on column reporting.freshness.enabled is 'false: it is no longer synchronised';
comment on column reporting.freshness.paused is 'true: an operator stopped it for a while';
comment on column reporting.freshness.complete_through is 'every change up to here, from since on, is in the tables; null before the first load';
comment on column reporting.freshness.watermark is 'newest source time that is in the tables, whatever lacks before it';
comment on column reporting.freshness.lag is 'now, by the platform''s clock, less complete_through';
comment on column reporting.freshness.since is 'where the promise begins: changes before it are only here with a baseline';
comment on column reporting.freshness.baseline_at is 'time as of which a full extract was imported; null: rows that have not changed since `since` are not here';
comment on column reporting.freshness.open_gaps is 'gaps that the service can still load';
comment on column reporting.freshness.open_gap_time is 'their length together';
comment on column reporting.freshness.expired_gaps is 'gaps older than the platform serves';
comment on column reporting.freshness.expired_gap_time is 'their length together';
comment on column reporting.freshness.recoverable_until is 'when the first of the open gaps expires; null if there is none';
comment on column reporting.freshness.accepted_gap_time is 'length of what an operator has put up with: changes of that time may be missing';
comment on column reporting.freshness.unresolved_rejects is 'lines that were refused and have not come right since';
comment on column reporting.freshness.flagged_rows is 'rows with a value that the document does not allow; flag_summary says which';
comment on column reporting.freshness.last_loaded_at is 'when a run last ended well';
comment on column reporting.freshness.consecutive_failures is 'failed runs since then';
comment on column reporting.freshness.last_error_code is 'code of the last failure, as in the README; null after a good run';
comment on column reporting.freshness.holds is 'what there is of the source, in words: all, or changes only since a time (in China), which is not all; with gaps, or less accepted gaps, where something lacks from there on; null before the first load';

create view reporting.run_log as
select r.id as run_id, r.org_code, r.dataset, r.trigger, r.status, r.window_from, r.window_to,
  r.started_at, r.finished_at, r.finished_at - r.started_at as duration, r.bytes, r.lines, r.accepted, r.rejected,
  r.inserted, r.updated, r.unchanged, r.stale, r.duplicate, r.flagged, r.error_code
from vcc.run r;
comment on view reporting.run_log is 'every load that is still on record, with its receipt; runs without changes are kept for two days';
comment on column reporting.run_log.run_id is 'number of the run; newer ones are higher';
comment on column reporting.run_log.org_code is 'organisation';
comment on column reporting.run_log.dataset is 'addresses, supply_points, subscribers or meters';
comment on column reporting.run_log.trigger is 'what woke it: schedule, request, import, push or cli';
comment on column reporting.run_log.status is 'running, done, failed or interrupted';
comment on column reporting.run_log.window_from is 'start of the source time that it loads';
comment on column reporting.run_log.window_to is 'end of it, not included';
comment on column reporting.run_log.started_at is 'when it began';
comment on column reporting.run_log.finished_at is 'when it ended; null while it runs';
comment on column reporting.run_log.duration is 'how long it took';
comment on column reporting.run_log.bytes is 'length of the file, decoded';
comment on column reporting.run_log.lines is 'lines of data: accepted and rejected';
comment on column reporting.run_log.accepted is 'inserted, updated, unchanged, stale and duplicate';
comment on column reporting.run_log.rejected is 'lines that were refused';
comment on column reporting.run_log.inserted is 'rows that were new';
comment on column reporting.run_log.updated is 'rows whose content changed';
comment on column reporting.run_log.unchanged is 'rows that came with the content they had';
comment on column reporting.run_log.stale is 'rows older than what was here';
comment on column reporting.run_log.duplicate is 'lines superseded by a later line of the same key';
comment on column reporting.run_log.flagged is 'rows with a value that the document does not allow';
comment on column reporting.run_log.error_code is 'why it failed, as in the README';

create view reporting.daily_volume as
select r.org_code, r.dataset, (r.finished_at at time zone interval '08:00')::date as day,
  count(*) as runs, count(*) filter (where r.status <> 'done') as failed_runs,
  sum(r.bytes)::bigint as bytes, sum(r.lines)::bigint as lines, sum(r.rejected)::bigint as rejected,
  sum(r.inserted)::bigint as inserted, sum(r.updated)::bigint as updated, sum(r.unchanged)::bigint as unchanged,
  sum(r.stale)::bigint as stale, sum(r.flagged)::bigint as flagged
from vcc.run r
where r.finished_at is not null
group by r.org_code, r.dataset, (r.finished_at at time zone interval '08:00')::date;
comment on view reporting.daily_volume is 'what was loaded on each day in China; of runs without changes only those of the last two days are counted';
comment on column reporting.daily_volume.org_code is 'organisation';
comment on column reporting.daily_volume.dataset is 'addresses, supply_points, subscribers or meters';
comment on column reporting.daily_volume.day is 'day in China on which the runs ended';
comment on column reporting.daily_volume.runs is 'runs that ended, well or not';
comment on column reporting.daily_volume.failed_runs is 'those that failed or were interrupted';
comment on column reporting.daily_volume.bytes is 'length of the files, decoded';
comment on column reporting.daily_volume.lines is 'lines of data';
comment on column reporting.daily_volume.rejected is 'lines that were refused';
comment on column reporting.daily_volume.inserted is 'rows that were new';
comment on column reporting.daily_volume.updated is 'rows whose content changed';
comment on column reporting.daily_volume.unchanged is 'rows that came with the content they had';
comment on column reporting.daily_volume.stale is 'rows older than what was here';
comment on column reporting.daily_volume.flagged is 'rows with a value that the document does not allow';

---- The data
--
-- Of joins there are as few as can be: the planner puts no more than eight in order (join_collapse_limit), and
-- readers join these views. So a code list is one value, read once, that a code is looked up in.

create view reporting.code as
select c.dataset, c.column_name, c.code, c.zh, c.en from vcc.code c;
comment on view reporting.code is 'the document''s code lists';
comment on column reporting.code.dataset is 'dataset that has the column';
comment on column reporting.code.column_name is 'column whose values are codes';
comment on column reporting.code.code is 'value, as delivered';
comment on column reporting.code.zh is 'what it means, in the document''s words';
comment on column reporting.code.en is 'what it means, in English';

-- Keys that occur twice are found first, by an index alone. `is_current` asks for this list once where
-- there are many rows, and for a single key where there are few. For the former the planner must expect
-- it to be short: of `least(count(*), 2) = 2` it does, of `count(*) > 1` it does not.
create view reporting.moved as
select older.org_code, 'addresses'::text as dataset, older.address_code as row_key, older.synced_through,
  newer.org_code as current_org_code, newer.synced_through as current_synced_through
from (select t.address_code from vcc.address t group by t.address_code having least(count(*), 2) = 2) as twice
join vcc.address older on older.address_code = twice.address_code
join lateral (
  select n.org_code, n.synced_through from vcc.address n
  where n.address_code = older.address_code and n.state = 'A' and n.absent_since is null
  order by n.synced_through desc, n.org_code limit 1
) as newer on newer.org_code <> older.org_code
where older.state = 'A' and older.absent_since is null
union all
select older.org_code, 'supply_points', older.supply_point_code, older.synced_through, newer.org_code, newer.synced_through
from (select t.supply_point_code from vcc.supply_point t group by t.supply_point_code having least(count(*), 2) = 2) as twice
join vcc.supply_point older on older.supply_point_code = twice.supply_point_code
join lateral (
  select n.org_code, n.synced_through from vcc.supply_point n
  where n.supply_point_code = older.supply_point_code and n.absent_since is null
  order by n.synced_through desc, n.org_code limit 1
) as newer on newer.org_code <> older.org_code
where older.absent_since is null
union all
select older.org_code, 'subscribers', older.subscriber_code, older.synced_through, newer.org_code, newer.synced_through
from (select t.subscriber_code from vcc.subscriber t group by t.subscriber_code having least(count(*), 2) = 2) as twice
join vcc.subscriber older on older.subscriber_code = twice.subscriber_code
join lateral (
  select n.org_code, n.synced_through from vcc.subscriber n
  where n.subscriber_code = older.subscriber_code and n.absent_since is null
  order by n.synced_through desc, n.org_code limit 1
) as newer on newer.org_code <> older.org_code
where older.absent_since is null
union all
select older.org_code, 'meters', older.meter_code, older.synced_through, newer.org_code, newer.synced_through
from (select t.meter_code from vcc.meter t group by t.meter_code having least(count(*), 2) = 2) as twice
join vcc.meter older on older.meter_code = twice.meter_code
join lateral (
  select n.org_code, n.synced_through from vcc.meter n
  where n.meter_code = older.meter_code and n.state = 'A' and n.absent_since is null
  order by n.synced_through desc, n.org_code limit 1
) as newer on newer.org_code <> older.org_code
where older.state = 'A' and older.absent_since is null;
comment on view reporting.moved is 'rows whose key lives under another organisation too, which delivered it later: not current; a row that is itself not in use or absent takes no key, so one that is removed where it had moved to is current again where it was, if it is still in use there';
comment on column reporting.moved.org_code is 'organisation of the row that is no longer current';
comment on column reporting.moved.dataset is 'addresses, supply_points, subscribers or meters';
comment on column reporting.moved.row_key is 'the key that both have';
comment on column reporting.moved.synced_through is 'end of the newest window that delivered this row';
comment on column reporting.moved.current_org_code is 'organisation under which the key is current; of equally new ones the first by code';
comment on column reporting.moved.current_synced_through is 'end of the newest window that delivered it there';

-- The way up begins at the parent and depends on nothing else, so that the planner remembers it for all
-- children of one parent (memoize), and a filter on the address itself is applied before it. It is an
-- aggregate, which plainly gives one row: who asks for no path pays for none.

create view reporting.address_tree as
select a.org_code, a.address_code, a.parent_address_code, a.address_type,
  (select jsonb_object_agg(c.code, c.zh) from vcc.code c where c.dataset = 'addresses' and c.column_name = 'address_type') ->> a.address_type as address_type_zh,
  (select jsonb_object_agg(c.code, c.en) from vcc.code c where c.dataset = 'addresses' and c.column_name = 'address_type') ->> a.address_type as address_type_en,
  own.name, case when (select vcc.sees_whole()) then a.full_address else vcc.masked_text(a.full_address, null) end as full_address, a.state,
  (select jsonb_object_agg(c.code, c.zh) from vcc.code c where c.dataset = 'addresses' and c.column_name = 'state') ->> a.state as state_zh,
  (select jsonb_object_agg(c.code, c.en) from vcc.code c where c.dataset = 'addresses' and c.column_name = 'state') ->> a.state as state_en,
  coalesce(a.state = 'A' and a.absent_since is null, false) and not exists (
    select from reporting.moved v where v.dataset = 'addresses' and v.org_code = a.org_code and v.row_key = a.address_code
  ) as is_current,
  cardinality(w.codes) + 1 as level,
  w.codes || a.address_code as path_codes,
  w.names || own.name as path_names,
  case when a.address_type = 'P' then own.name else up.province end as province,
  case when a.address_type = 'C' then own.name else up.city end as city,
  case when a.address_type = 'D' then own.name else up.district end as district,
  case
    when a.parent_address_code is null then 'whole'
    when a.parent_address_code = a.address_code or a.address_code = any (up.codes) then 'cycle'
    else coalesce(up.path_state, 'orphan')
  end as path_state,
  a.flags, case when (select vcc.sees_whole()) then a.extra end as extra,
  a.first_seen_at, a.changed_at, a.synced_through, a.absent_since
from vcc.address a
cross join lateral (
  select case when (select vcc.sees_whole()) then a.name else vcc.masked_text(a.name, null) end as name
) as own
left join lateral (
  with recursive up as (
    select 1 as height, p.address_code, p.parent_address_code, p.address_type,
      case when (select vcc.sees_whole()) then p.name else vcc.masked_text(p.name, null) end as name, array[p.address_code] as seen
    from vcc.address p
    where p.org_code = a.org_code and p.address_code = a.parent_address_code
    union all
    select u.height + 1, p.address_code, p.parent_address_code, p.address_type,
      case when (select vcc.sees_whole()) then p.name else vcc.masked_text(p.name, null) end, u.seen || p.address_code
    from up u
    join vcc.address p on p.org_code = a.org_code and p.address_code = u.parent_address_code
    where p.address_code <> all (u.seen)
  )
  select array_agg(u.address_code order by u.height desc) as codes,
    array_agg(u.name order by u.height desc) as names,
    max(u.name) filter (where u.address_type = 'P') as province,
    max(u.name) filter (where u.address_type = 'C') as city,
    max(u.name) filter (where u.address_type = 'D') as district,
    case
      when bool_or(u.parent_address_code is null) then 'whole'
      when bool_or(u.parent_address_code = any (u.seen)) then 'cycle'
      when count(*) > 0 then 'orphan'
    end as path_state
  from up u
) as up on true
-- In a cycle the way up comes back to the address itself: what lies above it there is cut off.
cross join lateral (
  select
    coalesce(up.codes[coalesce(array_position(up.codes, a.address_code), 0) + 1 :], '{}') as codes,
    coalesce(up.names[coalesce(array_position(up.codes, a.address_code), 0) + 1 :], '{}') as names
) as w;
comment on view reporting.address_tree is 'addresses with their path from the top, province to building; safe against cycles and missing parents';
comment on column reporting.address_tree.org_code is 'organisation';
comment on column reporting.address_tree.address_code is '地址代码: key of the address, with org_code';
comment on column reporting.address_tree.parent_address_code is '父地址代码: the address above; null at the top';
comment on column reporting.address_tree.address_type is '地址类型: P, C, D, T, S, G or B';
comment on column reporting.address_tree.address_type_zh is 'its meaning, in the document''s words';
comment on column reporting.address_tree.address_type_en is 'its meaning, in English';
comment on column reporting.address_tree.name is '地址名称: own name; seven digits or more in a row and mobile numbers are masked, here and in all that is made of names';
comment on column reporting.address_tree.full_address is '地址全称: names of the whole path; numbers are masked as in name';
comment on column reporting.address_tree.state is '状态: A or X';
comment on column reporting.address_tree.state_zh is 'its meaning, in the document''s words';
comment on column reporting.address_tree.state_en is 'its meaning, in English';
comment on column reporting.address_tree.is_current is 'in use (state A), not absent from a full extract, and no other organisation that still has the key delivered it later (see moved): an upper address that organisations share is current under one of them only, so count what one of them has by state and absent_since';
comment on column reporting.address_tree.level is 'how many addresses its path has: 1 at the top';
comment on column reporting.address_tree.path_codes is 'codes from the top down to its own';
comment on column reporting.address_tree.path_names is 'names from the top down to its own; null where an address has none';
comment on column reporting.address_tree.province is 'name of the province on the path; null if there is none';
comment on column reporting.address_tree.city is 'name of the city on the path';
comment on column reporting.address_tree.district is 'name of the district or county on the path';
comment on column reporting.address_tree.path_state is 'whole: up to an address without a parent; orphan: a parent is not here; cycle: the parents lead back';
comment on column reporting.address_tree.flags is 'values that the document does not allow, as column:what; null if none';
comment on column reporting.address_tree.extra is 'columns that the document does not name, by their header; whole for vcc_reader_full only, else null';
comment on column reporting.address_tree.first_seen_at is 'when the row first arrived';
comment on column reporting.address_tree.changed_at is 'when its content last changed here';
comment on column reporting.address_tree.synced_through is 'end of the newest window that delivered it';
comment on column reporting.address_tree.absent_since is 'when a full extract first lacked it; null while present';


-- The way down, by `union`, which takes no address twice: a cycle ends.

create view reporting.address_below as
select a.org_code, a.address_code as ancestor_code, a.address_type as ancestor_type,
  case when (select vcc.sees_whole()) then a.name else vcc.masked_text(a.name, null) end as ancestor_name, b.address_code
from vcc.address a
cross join lateral (
  with recursive down as (
    select a.address_code
    union
    select c.address_code from down d
    join vcc.address c on c.org_code = a.org_code and c.parent_address_code = d.address_code
  )
  select d.address_code from down d
) as b;
comment on view reporting.address_below is 'what lies below an address, itself included: filter by ancestor_code, and join subscriber, supply_point or address_tree by address';
comment on column reporting.address_below.org_code is 'organisation';
comment on column reporting.address_below.ancestor_code is 'the address above';
comment on column reporting.address_below.ancestor_type is 'its 地址类型';
comment on column reporting.address_below.ancestor_name is 'its name, masked as in address_tree';
comment on column reporting.address_below.address_code is 'an address below it, at any depth, or itself';


create view reporting.subscriber as
select s.org_code, s.subscriber_code,
  case when (select vcc.sees_whole()) then s.name else vcc.masked_name(s.name) end as name,
  s.subscriber_type,
  (select jsonb_object_agg(c.code, c.zh) from vcc.code c where c.dataset = 'subscribers' and c.column_name = 'subscriber_type') ->> s.subscriber_type as subscriber_type_zh,
  (select jsonb_object_agg(c.code, c.en) from vcc.code c where c.dataset = 'subscribers' and c.column_name = 'subscriber_type') ->> s.subscriber_type as subscriber_type_en, s.state,
  case when (select vcc.sees_whole()) then s.telephone else vcc.masked_number(s.telephone) end as telephone,
  case when (select vcc.sees_whole()) then s.mobile else vcc.masked_number(s.mobile) end as mobile,
  s.address_code,
  case when (select vcc.sees_whole()) then s.address_detail else vcc.masked_text(s.address_detail, s.name) end as address_detail,
  a.full_address, a.level as address_level, a.path_codes, a.path_names, a.province, a.city, a.district,
  s.absent_since is null and not exists (
    select from reporting.moved v where v.dataset = 'subscribers' and v.org_code = s.org_code and v.row_key = s.subscriber_code
  ) as is_current,
  s.flags, case when (select vcc.sees_whole()) then s.extra end as extra,
  s.first_seen_at, s.changed_at, s.synced_through, s.absent_since
from vcc.subscriber s
left join reporting.address_tree a on a.org_code = s.org_code and a.address_code = s.address_code;
comment on view reporting.subscriber is 'subscribers with the path of their address; names and numbers are masked but for vcc_reader_full; household adds their supply points and meters';
comment on column reporting.subscriber.org_code is 'organisation';
comment on column reporting.subscriber.subscriber_code is '气户户号: key of the subscriber, with org_code';
comment on column reporting.subscriber.name is '气户名称: person or company; 张** unless the reader sees names';
comment on column reporting.subscriber.subscriber_type is '气户类型: 1 or 2';
comment on column reporting.subscriber.subscriber_type_zh is 'its meaning, in the document''s words';
comment on column reporting.subscriber.subscriber_type_en is 'its meaning, in English';
comment on column reporting.subscriber.state is '气户状态: the codes are undocumented';
comment on column reporting.subscriber.telephone is '联系电话; 051****1234 unless the reader sees numbers';
comment on column reporting.subscriber.mobile is '手机号码; 136****0001 unless the reader sees numbers';
comment on column reporting.subscriber.address_code is '地址编码: its address';
comment on column reporting.subscriber.address_detail is '地址明细: place below the address; the subscriber''s whole name, seven digits or more in a row and mobile numbers in it are masked; other names, parts of that one and numbers with fewer digits in a row stay';
comment on column reporting.subscriber.full_address is 'full address, masked as in address_tree';
comment on column reporting.subscriber.address_level is 'level of the address: 1 at the top; null if the address is not here';
comment on column reporting.subscriber.path_codes is 'codes of the addresses from the top down to its own';
comment on column reporting.subscriber.path_names is 'their names';
comment on column reporting.subscriber.province is 'name of the province on the path';
comment on column reporting.subscriber.city is 'name of the city';
comment on column reporting.subscriber.district is 'name of the district';
comment on column reporting.subscriber.is_current is 'not absent from a full extract, and no other organisation that still has the key delivered it later (see moved)';
comment on column reporting.subscriber.flags is 'values that the document does not allow, as column:what; null if none';
comment on column reporting.subscriber.extra is 'columns that the document does not name, by their header; whole for vcc_reader_full only, else null';
comment on column reporting.subscriber.first_seen_at is 'when the row first arrived';
comment on column reporting.subscriber.changed_at is 'when its content last changed here';
comment on column reporting.subscriber.synced_through is 'end of the newest window that delivered it';
comment on column reporting.subscriber.absent_since is 'when a full extract first lacked it; null while present';


-- The document links no supply point to a subscriber: the same place in the same building is all there is.
-- It is compared as it is, not as it is masked. The list is made for the rows that are wanted alone.

create view reporting.supply_point as
select p.org_code, p.supply_point_code, p.supply_point_type,
  (select jsonb_object_agg(c.code, c.zh) from vcc.code c where c.dataset = 'supply_points' and c.column_name = 'supply_point_type') ->> p.supply_point_type as supply_point_type_zh,
  (select jsonb_object_agg(c.code, c.en) from vcc.code c where c.dataset = 'supply_points' and c.column_name = 'supply_point_type') ->> p.supply_point_type as supply_point_type_en,
  p.gas_source_type,
  (select jsonb_object_agg(c.code, c.zh) from vcc.code c where c.dataset = 'supply_points' and c.column_name = 'gas_source_type') ->> p.gas_source_type as gas_source_type_zh,
  (select jsonb_object_agg(c.code, c.en) from vcc.code c where c.dataset = 'supply_points' and c.column_name = 'gas_source_type') ->> p.gas_source_type as gas_source_type_en,
  p.riser_passes_through,
  (select jsonb_object_agg(c.code, c.zh) from vcc.code c where c.dataset = 'supply_points' and c.column_name = 'riser_passes_through') ->> p.riser_passes_through as riser_passes_through_zh,
  (select jsonb_object_agg(c.code, c.en) from vcc.code c where c.dataset = 'supply_points' and c.column_name = 'riser_passes_through') ->> p.riser_passes_through as riser_passes_through_en,
  p.building_code,
  case when (select vcc.sees_whole()) then p.address_detail else vcc.masked_text(p.address_detail, null) end as address_detail,
  a.full_address, a.level as address_level, a.path_codes, a.path_names, a.province, a.city, a.district,
  p.absent_since is null and not exists (
    select from reporting.moved v where v.dataset = 'supply_points' and v.org_code = p.org_code and v.row_key = p.supply_point_code
  ) as is_current,
  p.flags, case when (select vcc.sees_whole()) then p.extra end as extra,
  p.first_seen_at, p.changed_at, p.synced_through, p.absent_since,
  array(
    select t.subscriber_code from reporting.subscriber t
    join vcc.subscriber u on u.org_code = t.org_code and u.subscriber_code = t.subscriber_code
    where t.org_code = p.org_code and t.address_code = p.building_code
      and u.address_detail = p.address_detail and t.is_current
    order by 1) as subscriber_codes
from vcc.supply_point p
left join reporting.address_tree a on a.org_code = p.org_code and a.address_code = p.building_code;
comment on view reporting.supply_point is 'supply points with the path of their building, and the subscribers there; the platform does not tell when one is removed';
comment on column reporting.supply_point.org_code is 'organisation';
comment on column reporting.supply_point.supply_point_code is '供气点编码: key of the supply point, with org_code';
comment on column reporting.supply_point.supply_point_type is '供气点类型: 1 or 2';
comment on column reporting.supply_point.supply_point_type_zh is 'its meaning, in the document''s words';
comment on column reporting.supply_point.supply_point_type_en is 'its meaning, in English';
comment on column reporting.supply_point.gas_source_type is '气源类型: 1 or 2';
comment on column reporting.supply_point.gas_source_type_zh is 'its meaning, in the document''s words';
comment on column reporting.supply_point.gas_source_type_en is 'its meaning, in English';
comment on column reporting.supply_point.riser_passes_through is '是否穿层户: Y or N';
comment on column reporting.supply_point.riser_passes_through_zh is 'its meaning, in the document''s words';
comment on column reporting.supply_point.riser_passes_through_en is 'its meaning, in English';
comment on column reporting.supply_point.building_code is '楼栋编码: address of the building';
comment on column reporting.supply_point.address_detail is '地址明细: place within it; seven digits or more in a row and mobile numbers are masked, names and numbers with fewer digits in a row stay';
comment on column reporting.supply_point.full_address is 'full address, masked as in address_tree';
comment on column reporting.supply_point.address_level is 'level of the address: 1 at the top; null if the address is not here';
comment on column reporting.supply_point.path_codes is 'codes of the addresses from the top down to its own';
comment on column reporting.supply_point.path_names is 'their names';
comment on column reporting.supply_point.province is 'name of the province on the path';
comment on column reporting.supply_point.city is 'name of the city';
comment on column reporting.supply_point.district is 'name of the district';
comment on column reporting.supply_point.is_current is 'not absent from a full extract, and no other organisation that still has the key delivered it later (see moved)';
comment on column reporting.supply_point.flags is 'values that the document does not allow, as column:what; null if none';
comment on column reporting.supply_point.extra is 'columns that the document does not name, by their header; whole for vcc_reader_full only, else null';
comment on column reporting.supply_point.first_seen_at is 'when the row first arrived';
comment on column reporting.supply_point.changed_at is 'when its content last changed here';
comment on column reporting.supply_point.synced_through is 'end of the newest window that delivered it';
comment on column reporting.supply_point.absent_since is 'when a full extract first lacked it; null while present';
comment on column reporting.supply_point.subscriber_codes is 'current subscribers at its building with the same 地址明细: the document has no other link';


create view reporting.meter as
select m.org_code, m.meter_code, m.meter_type, m.model, m.inlet_side, m.state,
  (select jsonb_object_agg(c.code, c.zh) from vcc.code c where c.dataset = 'meters' and c.column_name = 'state') ->> m.state as state_zh,
  (select jsonb_object_agg(c.code, c.en) from vcc.code c where c.dataset = 'meters' and c.column_name = 'state') ->> m.state as state_en,
  case when (select vcc.sees_whole()) then m.location else vcc.masked_text(m.location,
    (select o.name from vcc.subscriber o where o.org_code = m.org_code and o.subscriber_code = m.subscriber_code)) end as location,
  m.management_mode, m.manufacturer_code, m.subscriber_code,
  s.subscriber_code is not null as subscriber_known, s.name as subscriber_name,
  s.subscriber_type, s.subscriber_type_zh, s.subscriber_type_en, s.address_code, s.address_detail,
  s.full_address, s.address_level, s.path_codes, s.path_names, s.province, s.city, s.district,
  coalesce(m.state = 'A' and m.absent_since is null, false) and not exists (
    select from reporting.moved v where v.dataset = 'meters' and v.org_code = m.org_code and v.row_key = m.meter_code
  ) as is_current,
  m.flags, case when (select vcc.sees_whole()) then m.extra end as extra,
  m.first_seen_at, m.changed_at, m.synced_through, m.absent_since
from vcc.meter m
left join reporting.subscriber s on s.org_code = m.org_code and s.subscriber_code = m.subscriber_code;
comment on view reporting.meter is 'meters with their subscriber and its address';
comment on column reporting.meter.org_code is 'organisation';
comment on column reporting.meter.meter_code is '表具编号: key of the meter, with org_code';
comment on column reporting.meter.meter_type is '表具类型: the codes are undocumented';
comment on column reporting.meter.model is '型号: the codes are undocumented';
comment on column reporting.meter.inlet_side is '表向: the codes are undocumented';
comment on column reporting.meter.state is '状态: A or X';
comment on column reporting.meter.state_zh is 'its meaning, in the document''s words';
comment on column reporting.meter.state_en is 'its meaning, in English';
comment on column reporting.meter.location is '位置: where it hangs; masked as address_detail in subscriber, by the name of its subscriber';
comment on column reporting.meter.management_mode is '管理模式: the codes are undocumented';
comment on column reporting.meter.manufacturer_code is '厂商代码: manufacturer';
comment on column reporting.meter.subscriber_code is '气户编号: its subscriber';
comment on column reporting.meter.subscriber_known is 'whether that subscriber is here; orphan lists those that are not';
comment on column reporting.meter.subscriber_name is 'the subscriber''s name, masked as in subscriber';
comment on column reporting.meter.subscriber_type is 'the subscriber''s 气户类型';
comment on column reporting.meter.subscriber_type_zh is 'its meaning, in the document''s words';
comment on column reporting.meter.subscriber_type_en is 'its meaning, in English';
comment on column reporting.meter.address_code is 'the subscriber''s address';
comment on column reporting.meter.address_detail is 'place below it, masked as in subscriber';
comment on column reporting.meter.full_address is 'full address, masked as in address_tree';
comment on column reporting.meter.address_level is 'level of the address: 1 at the top; null if the address is not here';
comment on column reporting.meter.path_codes is 'codes of the addresses from the top down to its own';
comment on column reporting.meter.path_names is 'their names';
comment on column reporting.meter.province is 'name of the province on the path';
comment on column reporting.meter.city is 'name of the city';
comment on column reporting.meter.district is 'name of the district';
comment on column reporting.meter.is_current is 'in use (state A), not absent from a full extract, and no other organisation that still has the key delivered it later (see moved)';
comment on column reporting.meter.flags is 'values that the document does not allow, as column:what; null if none';
comment on column reporting.meter.extra is 'columns that the document does not name, by their header; whole for vcc_reader_full only, else null';
comment on column reporting.meter.first_seen_at is 'when the row first arrived';
comment on column reporting.meter.changed_at is 'when its content last changed here';
comment on column reporting.meter.synced_through is 'end of the newest window that delivered it';
comment on column reporting.meter.absent_since is 'when a full extract first lacked it; null while present';


-- Supply points are found as in `supply_point`. Both lists are made for the rows that are wanted alone.

create view reporting.household as
select s.org_code, s.subscriber_code, s.name, s.subscriber_type, s.subscriber_type_zh, s.subscriber_type_en, s.state,
  s.telephone, s.mobile, s.address_code, s.address_detail, s.full_address, s.address_level, s.path_codes, s.path_names,
  s.province, s.city, s.district, s.is_current,
  array(
    select t.supply_point_code from reporting.supply_point t
    join vcc.supply_point u on u.org_code = t.org_code and u.supply_point_code = t.supply_point_code
    where t.org_code = w.org_code and t.building_code = w.address_code
      and u.address_detail = w.address_detail and t.is_current
    order by 1) as supply_point_codes,
  array(
    select t.meter_code from reporting.meter t
    where t.org_code = w.org_code and t.subscriber_code = w.subscriber_code and t.is_current
    order by 1) as meter_codes
from reporting.subscriber s
join vcc.subscriber w on w.org_code = s.org_code and w.subscriber_code = s.subscriber_code;
comment on view reporting.household is 'one row per subscriber, with the path of its address, its current supply points and meters';
comment on column reporting.household.org_code is 'organisation';
comment on column reporting.household.subscriber_code is '气户户号: key of the subscriber, with org_code';
comment on column reporting.household.name is 'as in subscriber, masked alike';
comment on column reporting.household.subscriber_type is '气户类型: 1 or 2';
comment on column reporting.household.subscriber_type_zh is 'its meaning, in the document''s words';
comment on column reporting.household.subscriber_type_en is 'its meaning, in English';
comment on column reporting.household.state is '气户状态: the codes are undocumented';
comment on column reporting.household.telephone is 'as in subscriber, masked alike';
comment on column reporting.household.mobile is 'as in subscriber, masked alike';
comment on column reporting.household.address_code is '地址编码: its address';
comment on column reporting.household.address_detail is '地址明细: place below the address, masked as in subscriber';
comment on column reporting.household.full_address is 'full address, masked as in address_tree';
comment on column reporting.household.address_level is 'level of the address: 1 at the top; null if the address is not here';
comment on column reporting.household.path_codes is 'codes of the addresses from the top down to its own';
comment on column reporting.household.path_names is 'their names';
comment on column reporting.household.province is 'name of the province on the path';
comment on column reporting.household.city is 'name of the city';
comment on column reporting.household.district is 'name of the district';
comment on column reporting.household.is_current is 'of the subscriber: not absent from a full extract, and no other organisation that still has the key delivered it later (see moved)';
comment on column reporting.household.supply_point_codes is 'current supply points of its building with the same 地址明细: the document has no other link';
comment on column reporting.household.meter_codes is 'its current meters';


-- Whether a row is current is looked up, as `moved` tells it: few are left by then. Of subscribers that are
-- referred to there are many: the list is read once. Addresses need no list: a province or a city is delivered
-- by every organisation below it, and whoever did so last, it is a parent of each one's own rows.
create view reporting.orphan as
select o.org_code, o.dataset, o.row_key, o.parent_dataset, o.parent_key, w.parent_is, o.first_seen_at,
  now() - o.first_seen_at as age, o.changed_at,
  k.in_gap as parent_may_be_in_gap, k.before_baseline as parent_may_be_before_baseline,
  case
    when w.parent_is <> 'missing' then w.parent_is
    when not k.has_feed then 'no feed'
    when k.in_gap then 'gap'
    when k.behind then 'behind'
    when k.before_baseline then 'before baseline'
    else 'unexplained'
  end as cause,
  o.parent_org_code
from (
  select c.org_code, 'meters'::text as dataset, c.meter_code as row_key, 'subscribers'::text as parent_dataset, c.subscriber_code as parent_key,
    p.org_code is not null as is_here, c.first_seen_at, c.changed_at, c.synced_through,
    (select n.org_code from vcc.subscriber n where n.subscriber_code = c.subscriber_code and n.absent_since is null
      order by n.synced_through desc, n.org_code limit 1) as parent_org_code
  from vcc.meter c
  left join vcc.subscriber p on p.org_code = c.org_code and p.subscriber_code = c.subscriber_code
  join lateral (
    select n.org_code from vcc.meter n where n.meter_code = c.meter_code and n.state = 'A' and n.absent_since is null
    order by n.synced_through desc, n.org_code limit 1
  ) as own on own.org_code = c.org_code
  where c.state = 'A' and c.absent_since is null
    and (p.org_code is null or p.absent_since is not null or exists (
      select from reporting.moved v where v.dataset = 'subscribers' and v.org_code = p.org_code and v.row_key = p.subscriber_code))
  union all
  select c.org_code, 'subscribers'::text, c.subscriber_code, 'addresses'::text, c.address_code,
    p.org_code is not null, c.first_seen_at, c.changed_at, c.synced_through,
    (select n.org_code from vcc.address n where n.address_code = c.address_code and n.state = 'A' and n.absent_since is null
      order by n.synced_through desc, n.org_code limit 1)
  from vcc.subscriber c
  left join vcc.address p on p.org_code = c.org_code and p.address_code = c.address_code
  join lateral (
    select n.org_code from vcc.subscriber n where n.subscriber_code = c.subscriber_code and n.absent_since is null
    order by n.synced_through desc, n.org_code limit 1
  ) as own on own.org_code = c.org_code
  where c.absent_since is null
    and (p.org_code is null or p.state is distinct from 'A' or p.absent_since is not null)
  union all
  select c.org_code, 'supply_points'::text, c.supply_point_code, 'addresses'::text, c.building_code,
    p.org_code is not null, c.first_seen_at, c.changed_at, c.synced_through,
    (select n.org_code from vcc.address n where n.address_code = c.building_code and n.state = 'A' and n.absent_since is null
      order by n.synced_through desc, n.org_code limit 1)
  from vcc.supply_point c
  left join vcc.address p on p.org_code = c.org_code and p.address_code = c.building_code
  join lateral (
    select n.org_code from vcc.supply_point n where n.supply_point_code = c.supply_point_code and n.absent_since is null
    order by n.synced_through desc, n.org_code limit 1
  ) as own on own.org_code = c.org_code
  where c.absent_since is null
    and (p.org_code is null or p.state is distinct from 'A' or p.absent_since is not null)
  union all
  select c.org_code, 'addresses'::text, c.address_code, 'addresses'::text, c.parent_address_code,
    p.org_code is not null, c.first_seen_at, c.changed_at, c.synced_through,
    (select n.org_code from vcc.address n where n.address_code = c.parent_address_code and n.state = 'A' and n.absent_since is null
      order by n.synced_through desc, n.org_code limit 1)
  from vcc.address c
  left join vcc.address p on p.org_code = c.org_code and p.address_code = c.parent_address_code
  join lateral (
    select n.org_code from vcc.address n where n.address_code = c.address_code and n.state = 'A' and n.absent_since is null
    order by n.synced_through desc, n.org_code limit 1
  ) as own on own.org_code = c.org_code
  where c.state = 'A' and c.absent_since is null and c.parent_address_code is not null
    and (p.org_code is null or p.state is distinct from 'A' or p.absent_since is not null)
) as o
left join vcc.feed_now f on f.org_code = o.org_code and f.dataset = o.parent_dataset
cross join lateral (
  select case
    when o.parent_key is null then 'unnamed'
    when o.parent_org_code is not null then 'moved'
    when o.is_here then 'removed'
    else 'missing'
  end as parent_is
) as w
cross join lateral (
  select coalesce(f.enabled, false) as has_feed,
    -- Its parent is not younger than the row: what lacks after that does not hide it.
    coalesce(lower(f.holes) < o.synced_through, false) as in_gap,
    coalesce(f.complete_through < o.synced_through, false) as behind,
    f.feed_id is not null and f.baseline_at is null as before_baseline
) as k;
comment on view reporting.orphan is 'current rows that refer to nothing in use under their organisation: meters without current subscriber, subscribers and supply points without address in state A, addresses without such a parent; that an organisation sharing the address delivered it later does not count';
comment on column reporting.orphan.org_code is 'organisation';
comment on column reporting.orphan.dataset is 'dataset of the row: meters, subscribers, supply_points or addresses';
comment on column reporting.orphan.row_key is 'its key';
comment on column reporting.orphan.parent_dataset is 'dataset that it refers to';
comment on column reporting.orphan.parent_key is 'key that it refers to; null if it names none';
comment on column reporting.orphan.parent_is is 'missing: no such row; removed: not in state A, or absent from a full extract; moved: in use, but under another organisation; unnamed: no key is given';
comment on column reporting.orphan.first_seen_at is 'when the row first arrived';
comment on column reporting.orphan.age is 'time since then';
comment on column reporting.orphan.changed_at is 'when its content last changed here';
comment on column reporting.orphan.parent_may_be_in_gap is 'the other dataset has a hole, accepted or not, in the source time before the row''s newest window';
comment on column reporting.orphan.parent_may_be_before_baseline is 'the other dataset has no baseline: what has not changed since its `since` is not here';
comment on column reporting.orphan.cause is 'the likeliest: removed, moved, unnamed, no feed (the other dataset is not synchronised), gap, behind (it is loaded less far), before baseline, or unexplained';
comment on column reporting.orphan.parent_org_code is 'organisation under which the key that it refers to is current; null unless it has moved';


create view reporting.flag_summary as
select f.org_code, f.dataset, split_part(f.flag, ':', 1) as column_name, split_part(f.flag, ':', 2) as problem,
  count(*) as flagged_rows, min(f.changed_at) as oldest_change, max(f.changed_at) as newest_change
from (
  select r.org_code, 'addresses'::text as dataset, r.changed_at, unnest(r.flags) as flag from vcc.address r where r.flags is not null
  union all
  select r.org_code, 'supply_points'::text, r.changed_at, unnest(r.flags) from vcc.supply_point r where r.flags is not null
  union all
  select r.org_code, 'subscribers'::text, r.changed_at, unnest(r.flags) from vcc.subscriber r where r.flags is not null
  union all
  select r.org_code, 'meters'::text, r.changed_at, unnest(r.flags) from vcc.meter r where r.flags is not null
) as f
group by f.org_code, f.dataset, f.flag;
comment on view reporting.flag_summary is 'how many stored values the document does not allow, by column';
comment on column reporting.flag_summary.org_code is 'organisation';
comment on column reporting.flag_summary.dataset is 'addresses, supply_points, subscribers or meters';
comment on column reporting.flag_summary.column_name is 'column of that dataset';
comment on column reporting.flag_summary.problem is 'code: not in the code list; length: longer than documented; missing: empty though required; absent: the file lacked the column';
comment on column reporting.flag_summary.flagged_rows is 'rows with it';
comment on column reporting.flag_summary.oldest_change is 'when the content of the first of them last changed here';
comment on column reporting.flag_summary.newest_change is 'when that of the last one did';
