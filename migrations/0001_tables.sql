-- The four data tables and the ledgers beside them.
--
-- Data columns are text, as delivered: a value that breaks the document's own lists must not stop
-- the rest. Keys, and the codes by which rows refer to them, compare by bytes (collate "C"), which is faster and the
-- same on every machine.
--
-- Rows that come unchanged advance `synced_through`, which no index holds. Half of each page is kept free, so
-- that the new versions of all its rows stay in it (heap-only) and cost no index entry: a table delivered again
-- takes half the time and WAL for it, and no more room, which it would else take by then, with twice the index
-- (test/bench/unchanged-rows.ts).

create schema if not exists vcc;

-- A CHECK can not look into a multirange by itself.
create function vcc.whole_seconds(ranges tstzmultirange) returns boolean
language sql immutable strict parallel safe
return not exists (
  select from unnest(ranges) as one
  where extract(epoch from lower(one)) <> floor(extract(epoch from lower(one)))
     or extract(epoch from upper(one)) <> floor(extract(epoch from upper(one)))
);
comment on function vcc.whole_seconds(tstzmultirange) is 'whether every bound is a whole second, the platform''s precision';

create function vcc.whole_second(moment timestamptz) returns boolean
language sql immutable strict parallel safe
return extract(epoch from moment) = floor(extract(epoch from moment));
comment on function vcc.whole_second(timestamptz) is 'whether a time is a whole second, the platform''s precision';

-- The key comes first in the primary keys, so that one index also tells under which organisations a key lives
-- (view `moved` of schema `reporting`).

create table vcc.address (
  address_code text collate "C" not null,
  parent_address_code text collate "C",
  address_type text,
  name text,
  full_address text,
  org_code text collate "C" not null,
  state text,
  flags text[],
  extra jsonb,
  first_seen_at timestamptz not null,
  changed_at timestamptz not null,
  synced_through timestamptz not null,
  run_id bigint not null,
  absent_since timestamptz,
  constraint address_pkey primary key (address_code, org_code)
) with (fillfactor = 50);
comment on table vcc.address is '地址信息: addresses: a tree from province down to building';
comment on column vcc.address.address_code is '地址代码: row key';
comment on column vcc.address.parent_address_code is '父地址代码: the address above; null at the top';
comment on column vcc.address.address_type is '地址类型: P province, C city, D district, T town, S street, G village or compound, B building';
comment on column vcc.address.name is '地址名称: own name';
comment on column vcc.address.full_address is '地址全称: names of the whole path';
comment on column vcc.address.org_code is '组织机构编码: organisation that the row belongs to';
comment on column vcc.address.state is '状态: A in use, X removed';
comment on column vcc.address.flags is 'values the document does not allow, as column:what; null if none';
comment on column vcc.address.extra is 'columns that the document does not name, by their header';
comment on column vcc.address.first_seen_at is 'when the row first arrived';
comment on column vcc.address.changed_at is 'when its content last changed here';
comment on column vcc.address.synced_through is 'end of the newest window that delivered it';
comment on column vcc.address.run_id is 'run that last changed its content';
comment on column vcc.address.absent_since is 'when a full extract first lacked it; null while present';

create table vcc.supply_point (
  supply_point_code text collate "C" not null,
  supply_point_type text,
  gas_source_type text,
  building_code text collate "C",
  address_detail text,
  riser_passes_through text,
  org_code text collate "C" not null,
  flags text[],
  extra jsonb,
  first_seen_at timestamptz not null,
  changed_at timestamptz not null,
  synced_through timestamptz not null,
  run_id bigint not null,
  absent_since timestamptz,
  constraint supply_point_pkey primary key (supply_point_code, org_code)
) with (fillfactor = 50);
comment on table vcc.supply_point is '供气信息: gas supply points; a removal is invisible at the source';
comment on column vcc.supply_point.supply_point_code is '供气点编码: row key';
comment on column vcc.supply_point.supply_point_type is '供气点类型: 1 residential, 2 commercial';
comment on column vcc.supply_point.gas_source_type is '气源类型: 1 piped natural gas, 2 piped liquefied gas';
comment on column vcc.supply_point.building_code is '楼栋编码: address of the building';
comment on column vcc.supply_point.address_detail is '地址明细: place within the building';
comment on column vcc.supply_point.riser_passes_through is '是否穿层户: Y if the riser passes through the premises, else N';
comment on column vcc.supply_point.org_code is '组织机构编码: organisation that the row belongs to';
comment on column vcc.supply_point.flags is 'values the document does not allow, as column:what; null if none';
comment on column vcc.supply_point.extra is 'columns that the document does not name, by their header';
comment on column vcc.supply_point.first_seen_at is 'when the row first arrived';
comment on column vcc.supply_point.changed_at is 'when its content last changed here';
comment on column vcc.supply_point.synced_through is 'end of the newest window that delivered it';
comment on column vcc.supply_point.run_id is 'run that last changed its content';
comment on column vcc.supply_point.absent_since is 'when a full extract first lacked it; null while present';

create table vcc.subscriber (
  subscriber_code text collate "C" not null,
  name text,
  address_code text collate "C",
  address_detail text,
  subscriber_type text,
  state text,
  telephone text,
  mobile text,
  org_code text collate "C" not null,
  flags text[],
  extra jsonb,
  first_seen_at timestamptz not null,
  changed_at timestamptz not null,
  synced_through timestamptz not null,
  run_id bigint not null,
  absent_since timestamptz,
  constraint subscriber_pkey primary key (subscriber_code, org_code)
) with (fillfactor = 50);
comment on table vcc.subscriber is '气户数据: subscribers; holds names and phone numbers';
comment on column vcc.subscriber.subscriber_code is '气户户号: row key';
comment on column vcc.subscriber.name is '气户名称: name of the person or company';
comment on column vcc.subscriber.address_code is '地址编码: address, as in table address';
comment on column vcc.subscriber.address_detail is '地址明细: place below the address';
comment on column vcc.subscriber.subscriber_type is '气户类型: 1 residential, 2 commercial';
comment on column vcc.subscriber.state is '气户状态: state; the codes are undocumented';
comment on column vcc.subscriber.telephone is '联系电话: contact telephone';
comment on column vcc.subscriber.mobile is '手机号码: mobile number';
comment on column vcc.subscriber.org_code is '组织机构编码: organisation that the row belongs to';
comment on column vcc.subscriber.flags is 'values the document does not allow, as column:what; null if none';
comment on column vcc.subscriber.extra is 'columns that the document does not name, by their header';
comment on column vcc.subscriber.first_seen_at is 'when the row first arrived';
comment on column vcc.subscriber.changed_at is 'when its content last changed here';
comment on column vcc.subscriber.synced_through is 'end of the newest window that delivered it';
comment on column vcc.subscriber.run_id is 'run that last changed its content';
comment on column vcc.subscriber.absent_since is 'when a full extract first lacked it; null while present';

create table vcc.meter (
  meter_code text collate "C" not null,
  meter_type text,
  model text,
  inlet_side text,
  state text,
  location text,
  subscriber_code text collate "C",
  management_mode text,
  manufacturer_code text,
  org_code text collate "C" not null,
  flags text[],
  extra jsonb,
  first_seen_at timestamptz not null,
  changed_at timestamptz not null,
  synced_through timestamptz not null,
  run_id bigint not null,
  absent_since timestamptz,
  constraint meter_pkey primary key (meter_code, org_code)
) with (fillfactor = 50);
comment on table vcc.meter is '表具信息: meters';
comment on column vcc.meter.meter_code is '表具编号: row key';
comment on column vcc.meter.meter_type is '表具类型: type; the codes are undocumented';
comment on column vcc.meter.model is '型号: model; the codes are undocumented';
comment on column vcc.meter.inlet_side is '表向: side of the gas inlet; the codes are undocumented';
comment on column vcc.meter.state is '状态: A in use, X removed';
comment on column vcc.meter.location is '位置: where the meter hangs';
comment on column vcc.meter.subscriber_code is '气户编号: subscriber; may not equal a code in table subscriber';
comment on column vcc.meter.management_mode is '管理模式: management mode; the codes are undocumented';
comment on column vcc.meter.manufacturer_code is '厂商代码: manufacturer';
comment on column vcc.meter.org_code is '组织机构编码: organisation that the row belongs to';
comment on column vcc.meter.flags is 'values the document does not allow, as column:what; null if none';
comment on column vcc.meter.extra is 'columns that the document does not name, by their header';
comment on column vcc.meter.first_seen_at is 'when the row first arrived';
comment on column vcc.meter.changed_at is 'when its content last changed here';
comment on column vcc.meter.synced_through is 'end of the newest window that delivered it';
comment on column vcc.meter.run_id is 'run that last changed its content';
comment on column vcc.meter.absent_since is 'when a full extract first lacked it; null while present';

create table vcc.org (
  org_code text collate "C" not null,
  name text,
  area_code text,
  enabled boolean not null default true,
  constraint org_pkey primary key (org_code),
  constraint org_code_form check (org_code ~ '^[A-Za-z0-9_-]{1,20}$')
);
comment on table vcc.org is 'organisations whose datasets are kept in step';
comment on column vcc.org.org_code is '组织机构编码: the platform''s code of the organisation';
comment on column vcc.org.name is 'name for people';
comment on column vcc.org.area_code is 'sent as areaCode where set';
comment on column vcc.org.enabled is 'false: none of its feeds is synchronised';

create table vcc.feed (
  id integer generated always as identity,
  org_code text collate "C" not null,
  dataset text collate "C" not null,
  enabled boolean not null default true,
  paused boolean not null default false,
  every interval,
  since timestamptz,
  baseline_at timestamptz,
  extract_at timestamptz,
  coverage tstzmultirange not null default '{}',
  next_due_at timestamptz not null default '-infinity',
  consecutive_failures integer not null default 0,
  last_error_code text,
  last_error text,
  next_deep_at timestamptz,
  notified_at timestamptz,
  missed bigint not null default 0,
  constraint feed_pkey primary key (id),
  constraint feed_org_code_dataset_key unique (org_code, dataset),
  constraint feed_org_code_fkey foreign key (org_code) references vcc.org (org_code),
  constraint feed_dataset_known check (dataset in ('addresses', 'supply_points', 'subscribers', 'meters')),
  constraint feed_every_positive check (every > interval '0'),
  constraint feed_since_whole_second check (vcc.whole_second(since)),
  constraint feed_coverage_whole_seconds check (vcc.whole_seconds(coverage)),
  constraint feed_failures_not_negative check (consecutive_failures >= 0),
  constraint feed_missed_not_negative check (missed >= 0)
);
comment on table vcc.feed is 'one dataset of one organisation: the unit of scheduling, coverage and locking';
comment on column vcc.feed.enabled is 'false: the organisation does not take this dataset';
comment on column vcc.feed.paused is 'true: an operator stopped it for a while';
comment on column vcc.feed.every is 'interval between synchronisations; null: SYNC_EVERY';
comment on column vcc.feed.since is 'where the promise begins; null until the first commit';
comment on column vcc.feed.baseline_at is 'time as of which a full extract was imported';
comment on column vcc.feed.extract_at is 'time of the newest full extract by which rows that it lacked were marked absent';
comment on column vcc.feed.coverage is 'all source time whose rows are committed';
comment on column vcc.feed.next_due_at is 'when the planner wakes it next';
comment on column vcc.feed.consecutive_failures is 'failed runs since the last good one';
comment on column vcc.feed.last_error_code is 'stable code of the last failure; null after a good run';
comment on column vcc.feed.last_error is 'the last failure in words; null after a good run';
comment on column vcc.feed.next_deep_at is 'when its recent past is read again next; null before that is planned';
comment on column vcc.feed.notified_at is 'platform''s time of its last notice that something had changed; not covered yet: a run is due';
comment on column vcc.feed.missed is 'rows that deep re-reads inserted or updated, ever: they had been missed';

-- The planner asks for the feeds that are due, every few seconds, out of many thousands.
create index feed_next_due_at_idx on vcc.feed (next_due_at) where enabled and not paused;

create table vcc.request (
  id bigint generated always as identity,
  feed_id integer not null,
  kind text not null,
  during tstzrange,
  force boolean not null default false,
  max_rejects double precision,
  reason text,
  requested_by text not null,
  requested_at timestamptz not null default now(),
  finished_at timestamptz,
  constraint request_pkey primary key (id),
  constraint request_feed_id_fkey foreign key (feed_id) references vcc.feed (id),
  constraint request_kind_known check (kind in ('resync', 'deep', 'audit', 'import', 'replay', 'reconcile')),
  -- What the platform is asked for has two ends; an import may cover all before its end, or nothing.
  constraint request_during_bounded check (not isempty(during) and not upper_inf(during) and not upper_inc(during)
    and (kind in ('import', 'reconcile') or (lower_inc(during) and not lower_inf(during)))),
  constraint request_during_known check (during is not null or kind in ('import', 'replay', 'reconcile')),
  constraint request_during_whole_seconds check (vcc.whole_second(lower(during)) and vcc.whole_second(upper(during))),
  constraint request_max_rejects_percent check (max_rejects between 0 and 100)
);
comment on table vcc.request is 'wishes of people and of the service: who wants which interval loaded again, and why';
comment on column vcc.request.kind is 'resync or deep re-read: loaded from the platform; import or replay: rows got by other means; audit or reconcile: compared with the source';
comment on column vcc.request.during is 'source time to load or compare again, half-open; of an import what it covers, null for nothing';
comment on column vcc.request.force is 'true: older content may overwrite newer';
comment on column vcc.request.max_rejects is 'percent of lines that may be refused; null: the default';
comment on column vcc.request.finished_at is 'when all of it that can be had was loaded or compared, or an import or replay had ended; null while open';

create index request_open_idx on vcc.request (feed_id) where finished_at is null;
-- Deep re-reads are the service's own, one a feed and day; they are thinned out like runs.
create index request_thinning_idx on vcc.request (finished_at) where kind = 'deep';
-- The newest of a feed, among those of years.
create index request_feed_id_idx on vcc.request (feed_id, id);

create table vcc.run (
  id bigint generated always as identity,
  feed_id integer not null,
  org_code text collate "C" not null,
  dataset text collate "C" not null,
  trigger text not null,
  request_id bigint,
  window_from timestamptz not null,
  window_to timestamptz not null,
  requested_from timestamptz,
  requested_to timestamptz,
  status text not null default 'running',
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  heartbeat_at timestamptz not null default now(),
  backend_pid integer,
  backend_start timestamptz,
  seq text,
  http_status integer,
  bytes bigint not null default 0,
  bytes_expected bigint,
  sha256 text,
  lines bigint not null default 0,
  accepted bigint not null default 0,
  rejected bigint not null default 0,
  inserted bigint not null default 0,
  updated bigint not null default 0,
  unchanged bigint not null default 0,
  stale bigint not null default 0,
  duplicate bigint not null default 0,
  flagged bigint not null default 0,
  clock_skew double precision,
  error_code text,
  error_message text,
  worker text not null,
  constraint run_pkey primary key (id),
  constraint run_feed_id_fkey foreign key (feed_id) references vcc.feed (id),
  constraint run_request_id_fkey foreign key (request_id) references vcc.request (id),
  constraint run_trigger_known check (trigger in ('schedule', 'request', 'import', 'push', 'cli')),
  constraint run_status_known check (status in ('running', 'done', 'failed', 'interrupted')),
  constraint run_window_ordered check (window_from <= window_to),
  constraint run_window_whole_seconds check (vcc.whole_second(window_from) and vcc.whole_second(window_to)),
  constraint run_requested_whole_seconds check (vcc.whole_second(requested_from) and vcc.whole_second(requested_to)),
  constraint run_finished check ((status = 'running') = (finished_at is null)),
  constraint run_counters_not_negative check (least(bytes, lines, accepted, rejected, inserted, updated, unchanged,
    stale, duplicate, flagged) >= 0),
  constraint run_receipt_balances check (status <> 'done' or (
    lines = accepted + rejected
    and accepted = inserted + updated + unchanged + stale + duplicate))
);
comment on table vcc.run is 'one recorded execution of one window; what it saw and did is its receipt';
comment on column vcc.run.trigger is 'what woke it';
comment on column vcc.run.window_from is 'start of the source time that it loads';
comment on column vcc.run.window_to is 'end of the source time that it covers; never past the platform''s clock less the settle time';
comment on column vcc.run.requested_from is 'lastTimestamp as sent: the window''s start less the overlap';
comment on column vcc.run.requested_to is 'timestamp as sent';
comment on column vcc.run.heartbeat_at is 'last sign of life, from another connection than its own';
comment on column vcc.run.backend_pid is 'process id of the Postgres backend that carries the transaction';
comment on column vcc.run.backend_start is 'when that backend started; tells a reused process id apart';
comment on column vcc.run.seq is 'message number of the download';
comment on column vcc.run.bytes is 'length of the decoded body';
comment on column vcc.run.bytes_expected is 'that length as the answer announced it, while the run is under way; null if it did not';
comment on column vcc.run.sha256 is 'SHA-256 of the decoded body, hex';
comment on column vcc.run.lines is 'lines of data: the header and blank lines do not count';
comment on column vcc.run.accepted is 'lines that could be stored';
comment on column vcc.run.rejected is 'lines that were refused';
comment on column vcc.run.inserted is 'rows that were new';
comment on column vcc.run.updated is 'rows whose content changed';
comment on column vcc.run.unchanged is 'rows that came with the content they had';
comment on column vcc.run.stale is 'rows refused because a newer window had delivered another content';
comment on column vcc.run.duplicate is 'lines superseded by a later line of the same key';
comment on column vcc.run.flagged is 'rows with at least one value that the document does not allow';
comment on column vcc.run.clock_skew is 'platform''s clock less ours, in seconds';
comment on column vcc.run.worker is 'host and process that ran it';

-- At most one run of a feed is under way; the feed's lock makes it so, this proves it.
create unique index run_running_key on vcc.run (feed_id) where status = 'running';
create index run_feed_id_idx on vcc.run (feed_id, id);
create index run_request_id_idx on vcc.run (request_id) where request_id is not null;
-- Old runs are thinned out in small batches, all the time; first those that changed nothing.
create index run_thinning_idx on vcc.run
  ((status = 'done' and inserted + updated + stale + rejected = 0), finished_at);
-- What failed last, out of half a million that did not.
create index run_unfinished_idx on vcc.run (status, id) where status in ('failed', 'interrupted');

create table vcc.reject (
  id bigint generated always as identity,
  feed_id integer not null,
  run_id bigint not null,
  line_no bigint not null,
  reason text not null,
  row_key text,
  line_hash text not null,
  line text,
  header text,
  window_to timestamptz not null,
  first_seen timestamptz not null default now(),
  last_seen timestamptz not null default now(),
  resolved_at timestamptz,
  resolved_by_run bigint,
  constraint reject_pkey primary key (id),
  constraint reject_feed_id_line_hash_key unique (feed_id, line_hash),
  constraint reject_feed_id_fkey foreign key (feed_id) references vcc.feed (id)
);
comment on table vcc.reject is 'lines that were refused, once per feed and content';
comment on column vcc.reject.run_id is 'run that saw it last';
comment on column vcc.reject.line_no is 'its line in that run''s file; the header is line 1';
comment on column vcc.reject.row_key is 'key of the row, where it could be read';
comment on column vcc.reject.line_hash is 'SHA-256 of the line''s bytes, hex';
comment on column vcc.reject.line is 'the line itself, NULs and invalid bytes replaced; may hold personal data';
comment on column vcc.reject.header is 'header of that file; null if it is the document''s own';
comment on column vcc.reject.window_to is 'end of the window whose file held it';
comment on column vcc.reject.resolved_at is 'when a good row of that key arrived, or the line was repaired';

-- The newest of a feed; and counts by feed and reason, at every scrape, from this index alone.
create index reject_open_idx on vcc.reject (feed_id, last_seen, id) include (reason) where resolved_at is null;
-- The newest of all feeds, and of one run.
create index reject_last_seen_idx on vcc.reject (last_seen, id);
create index reject_run_id_idx on vcc.reject (run_id);
-- Lines are purged after a time, in small batches.
create index reject_line_idx on vcc.reject (last_seen) where line is not null;

create table vcc.gap_acceptance (
  feed_id integer not null,
  during tstzrange not null,
  reason text not null,
  accepted_by text not null,
  accepted_at timestamptz not null default now(),
  constraint gap_acceptance_pkey primary key (feed_id, during),
  constraint gap_acceptance_feed_id_fkey foreign key (feed_id) references vcc.feed (id),
  constraint gap_acceptance_during_bounded check (not isempty(during) and not lower_inf(during) and not upper_inf(during))
);
comment on table vcc.gap_acceptance is 'expired gaps that a person accepted, and why';

create table vcc.comparison (
  id bigint generated always as identity,
  request_id bigint not null,
  feed_id integer not null,
  kind text not null,
  during tstzrange,
  as_of timestamptz,
  run_id bigint,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  source_rows bigint,
  own_rows bigint,
  compared bigint not null default 0,
  missing bigint not null default 0,
  changed bigint not null default 0,
  extra bigint default 0,
  stale bigint not null default 0,
  sample integer,
  seed bigint,
  asked integer not null default 0,
  error_code text,
  constraint comparison_pkey primary key (id),
  constraint comparison_request_id_fkey foreign key (request_id) references vcc.request (id),
  constraint comparison_feed_id_fkey foreign key (feed_id) references vcc.feed (id),
  constraint comparison_kind_known check (kind in ('extract', 'window', 'sample')),
  constraint comparison_during_of_window check ((kind = 'window') = (during is not null)),
  constraint comparison_sample_whole check ((kind = 'sample') = (sample is not null and seed is not null)),
  constraint comparison_counters_not_negative check (least(source_rows, own_rows, compared, missing, changed, extra,
    stale, asked) >= 0)
);
comment on table vcc.comparison is 'one look at whether the copy is right: an extract, a window of an audit, or a sample';
comment on column vcc.comparison.kind is 'extract: a file with all rows; window: source time read again; sample: rows asked for one by one';
comment on column vcc.comparison.during is 'source time that an audit reads again, half-open';
comment on column vcc.comparison.as_of is 'moment for which it holds: the extract''s time, or the platform''s when it was asked';
comment on column vcc.comparison.run_id is 'run that repaired what was found; null if nothing was to be repaired';
comment on column vcc.comparison.finished_at is 'null while it is still to be done, or to be gone on with';
comment on column vcc.comparison.source_rows is 'rows at the source: in the file, in the window, or as the platform counts them';
comment on column vcc.comparison.own_rows is 'rows of the table that are not absent; null where they were not counted';
comment on column vcc.comparison.compared is 'rows that were compared';
comment on column vcc.comparison.missing is 'rows that the source has and the table lacks';
comment on column vcc.comparison.changed is 'rows whose content differs and should not';
comment on column vcc.comparison.extra is 'rows of the table that the source lacks; null where that can not be told';
comment on column vcc.comparison.stale is 'rows that differ because one side holds a newer state: the table, or the source by a change not loaded yet';
comment on column vcc.comparison.sample is 'how many rows each side was to be asked for';
comment on column vcc.comparison.seed is 'what the sample was drawn by: an interrupted one goes on with the same';
comment on column vcc.comparison.asked is 'pages of the platform''s list that were read';
comment on column vcc.comparison.error_code is 'why it could not be made, as in the README: the answer can not be read; null if it was';

create index comparison_feed_id_idx on vcc.comparison (feed_id, id);
create index comparison_request_id_idx on vcc.comparison (request_id);
-- Old ones are thinned out in small batches.
create index comparison_started_at_idx on vcc.comparison (started_at);

create table vcc.finding (
  comparison_id bigint not null,
  kind text not null,
  row_key text collate "C",
  columns text[],
  during tstzrange,
  late interval,
  constraint finding_comparison_id_fkey foreign key (comparison_id) references vcc.comparison (id) on delete cascade,
  constraint finding_kind_known check (kind in ('missing', 'changed', 'extra')),
  constraint finding_columns_of_changed check ((kind = 'changed') = (columns is not null))
);
comment on table vcc.finding is 'rows in which table and source differ, by their keys; never a value';
comment on column vcc.finding.kind is 'missing: only at the source; changed: other content here; extra: only here';
comment on column vcc.finding.row_key is 'key of the row; null if it is not fit to be kept';
comment on column vcc.finding.columns is 'columns that differ';
comment on column vcc.finding.during is 'source time in which it changed at the source, as far as that is known';
comment on column vcc.finding.late is 'it came later than this after its change, or not at all';

create index finding_comparison_id_idx on vcc.finding (comparison_id);

create table vcc.compared_key (
  comparison_id bigint not null,
  row_key text collate "C" not null,
  asked boolean not null,
  constraint compared_key_pkey primary key (comparison_id, row_key),
  constraint compared_key_comparison_id_fkey foreign key (comparison_id) references vcc.comparison (id) on delete cascade
);
comment on table vcc.compared_key is 'rows that an unfinished sample has compared already; emptied when it ends';
comment on column vcc.compared_key.asked is 'true: it was asked for by its key; false: it stood in the platform''s list';

create table vcc.session_token (
  app_id text not null,
  key_fingerprint text not null,
  token text not null,
  expires_at timestamptz not null,
  issued_at timestamptz not null default now(),
  constraint session_token_pkey primary key (app_id)
);
comment on table vcc.session_token is 'the platform''s session token, shared by all processes';
comment on column vcc.session_token.key_fingerprint is 'tells which base key it belongs to; another key, another token';

create table vcc.platform_state (
  app_id text not null,
  blocked_since timestamptz,
  probe_at timestamptz,
  error_code text,
  error_message text,
  clock_skew double precision,
  next_request_at timestamptz,
  constraint platform_state_pkey primary key (app_id),
  constraint platform_state_block_whole check ((blocked_since is null) = (probe_at is null))
);
comment on table vcc.platform_state is 'what all processes know of the platform together';
comment on column vcc.platform_state.blocked_since is 'since when the queue waits as a whole; null while all is well';
comment on column vcc.platform_state.probe_at is 'when one feed may try again';
comment on column vcc.platform_state.clock_skew is 'platform''s clock less ours at the last answer, in seconds';
comment on column vcc.platform_state.next_request_at is 'next free slot under VCC_MAX_RPS';

create table vcc.push_notice (
  seq text collate "C" not null,
  interface text not null,
  org_code text collate "C",
  received_at timestamptz not null default now(),
  constraint push_notice_pkey primary key (seq)
);
comment on table vcc.push_notice is 'notices of changes that the platform pushed within a day: none is taken twice';
comment on column vcc.push_notice.seq is 'message number of the notice';
comment on column vcc.push_notice.interface is '7001 to 7005: what had changed';
comment on column vcc.push_notice.org_code is 'organisation that it named; null: none';

-- Notices are forgotten after a time, in small batches.
create index push_notice_received_at_idx on vcc.push_notice (received_at);
