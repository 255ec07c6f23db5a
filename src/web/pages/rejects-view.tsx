import { DATASET_NAMES } from '../../core/dataset.ts';
import { REJECT_REASONS, type RejectReason } from '../../core/table/row.ts';
import type { OrgRow } from '../../store/orgs.ts';
import type { RejectRow, RejectTotal } from '../../store/reject-ledger.ts';
import type { Messages } from '../messages.ts';
import { REJECT_STATES, type TypedRejects } from '../reject-choice.ts';
import { Time } from '../time.tsx';
import { attributesOf, FaultOf, type FieldProps, WhyField } from './reject-fields.tsx';

/** What the page of all refused lines is given. */
export interface RejectsProps extends FieldProps {
  readonly typed: TypedRejects;
  readonly why: string;
  readonly orgs: readonly OrgRow[];
  readonly totals: readonly RejectTotal[];
  /** The newest of them. */
  readonly rows: readonly RejectRow[];
  readonly mayWrite: boolean;
  readonly common: Messages;
}

const format = new Intl.NumberFormat('en').format;

const sum = (totals: readonly RejectTotal[], of: 'count' | 'open' = 'count') =>
  totals.reduce((all, one) => all + one[of], 0);

/** Refused lines: chosen, counted, listed, and replayed if they shall be. */
export function Rejects(props: RejectsProps) {
  const { totals, rows, words } = props;
  return (
    <>
      <h1>{words.title}</h1>
      <p class="hint">{words.intro}</p>
      <FilterForm {...props} />
      {rows.length === 0 ? (
        <p class="notice">{words.none}</p>
      ) : (
        <>
          <Totals {...props} />
          <h2 id="lines">{words.lines}</h2>
          <p class="hint">{words.newest(rows.length, format(sum(totals)))}</p>
          <Lines {...props} />
        </>
      )}
      <ReplayForm {...props} />
    </>
  );
}

/** The address that shows what is chosen so. */
function addressOf(typed: TypedRejects): string {
  const fields = Object.entries(typed).filter(([, value]) => value !== '');
  return `/rejects?${new URLSearchParams(fields)}`;
}

function Choice(
  props: FieldProps & {
    readonly name: keyof TypedRejects;
    readonly label: string;
    readonly value: string;
    /** Values with their words, and what stands for none. */
    readonly options: readonly (readonly [value: string, word: string])[];
  },
) {
  const { name, label, value, options, faults, words } = props;
  return (
    <label>
      {label}
      <select name={name} {...attributesOf(name, faults)}>
        {options.map(([one, word]) => (
          <option value={one} selected={one === value}>
            {word}
          </option>
        ))}
      </select>
      <FaultOf name={name} faults={faults} words={words} />
    </label>
  );
}

function FilterForm({ typed, orgs, faults, common, words }: RejectsProps) {
  const any = ['', words.any] as const;
  const of = (name: keyof TypedRejects, label: string) => ({
    ...{ name, label, faults, words, value: typed[name] },
  });
  return (
    <form method="get" action="/rejects" class="card fields" aria-label={words.filter}>
      <Choice
        {...of('org', words.org)}
        options={[
          any,
          ...orgs.map(({ orgCode, name }) => [orgCode, `${orgCode} ${name ?? ''}`] as const),
        ]}
      />
      <Choice
        {...of('dataset', words.dataset)}
        options={[any, ...DATASET_NAMES.map((name) => [name, common.datasets[name]] as const)]}
      />
      <Choice
        {...of('reason', words.reason)}
        options={[any, ...REJECT_REASONS.map((name) => [name, words.reasons[name]] as const)]}
      />
      <Choice
        {...of('state', words.state)}
        options={REJECT_STATES.map((name) => [name, words.states[name]] as const)}
      />
      <label>
        {words.run}
        <input name="run" inputmode="numeric" value={typed.run} {...attributesOf('run', faults)} />
        <FaultOf name="run" faults={faults} words={words} />
      </label>
      <p class="actions">
        <button type="submit">{words.show}</button>
      </p>
    </form>
  );
}

/** Totals of one feed stand together, as they are ordered. */
function byFeed(totals: readonly RejectTotal[]): RejectTotal[][] {
  const feeds: RejectTotal[][] = [];
  for (const one of totals) {
    const last = feeds.at(-1);
    const isSame = last?.[0]?.orgCode === one.orgCode && last[0].dataset === one.dataset;
    if (isSame) last.push(one);
    else feeds.push([one]);
  }
  return feeds;
}

function Totals({ typed, totals, common, words }: RejectsProps) {
  const reasons = REJECT_REASONS.filter((name) => totals.some(({ reason }) => reason === name));
  const link = (chosen: Partial<TypedRejects>, count: number) =>
    count > 0 && <a href={addressOf({ ...typed, ...chosen })}>{format(count)}</a>;
  const by = (some: readonly RejectTotal[], name: RejectReason) =>
    sum(some.filter(({ reason }) => reason === name));
  return (
    <>
      <h2 id="totals">{words.totals}</h2>
      <section class="scroll tall" aria-labelledby="totals" tabindex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">{words.feed}</th>
              {reasons.map((name) => (
                <th scope="col" class="number">
                  {words.reasons[name]}
                </th>
              ))}
              <th scope="col" class="number">
                {words.total}
              </th>
            </tr>
          </thead>
          <tbody>
            {byFeed(totals).map((some) => {
              const { orgCode: org, dataset } = some[0]!;
              return (
                <tr>
                  <th scope="row">
                    {org} {common.datasets[dataset]}
                  </th>
                  {reasons.map((reason) => (
                    <td class="number">
                      {link({ org, dataset, reason }, by(some, reason))}{' '}
                      <Column of={some.find((one) => one.reason === reason)} />
                    </td>
                  ))}
                  <td class="number">{link({ org, dataset }, sum(some))}</td>
                </tr>
              );
            })}
          </tbody>
          <tfoot>
            <tr>
              <th scope="row">{words.total}</th>
              {reasons.map((reason) => (
                <td class="number">{link({ reason }, by(totals, reason))}</td>
              ))}
              <td class="number">{format(sum(totals))}</td>
            </tr>
          </tfoot>
        </table>
      </section>
    </>
  );
}

/** The column by which lines were refused, where there is one. */
function Column({ of }: { readonly of: Pick<RejectTotal, 'column'> | undefined }) {
  return of?.column ? <code class="hint">{of.column}</code> : null;
}

function Lines({ rows, common, words }: RejectsProps) {
  const { number, feed, reason, line, key, place, firstSeen, lastSeen, state } = words;
  return (
    <section class="scroll" aria-labelledby="lines" tabindex={0}>
      <table>
        <thead>
          <tr>
            {[number, feed, state, reason, line, key, place, firstSeen, lastSeen].map((head) => (
              <th scope="col">{head}</th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr>
              <th scope="row">
                <a href={`/rejects/${row.id}`}>{row.id}</a>
              </th>
              <td>
                {row.org_code} {common.datasets[row.dataset]}
              </td>
              <td class={row.resolved_at ? 'state in-step' : 'state late'}>
                {row.resolved_at ? words.states.resolved : words.states.open}
              </td>
              <td>
                {words.reasons[row.reason]} <Column of={row} />
              </td>
              <td>{row.line === null ? <em>{words.lineGone}</em> : <code>{row.line}</code>}</td>
              <td>{row.row_key ?? '–'}</td>
              <td>{words.placeOf(row.run_id, row.line_no)}</td>
              <td>
                <Time at={row.first_seen.getTime()} />
              </td>
              <td>
                <Time at={row.last_seen.getTime()} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function ReplayForm({ typed, why, totals, faults, mayWrite, words }: RejectsProps) {
  const open = sum(totals, 'open');
  if (!mayWrite) return <p class="notice">{words.viewer}</p>;
  if (open === 0) return null;
  const { state: _, ...chosen } = typed;
  return (
    <>
      <h2>{words.replayAll}</h2>
      <form method="post" action="/rejects/replay" class="card record">
        <p class="hint">{words.replayAllHint(format(open))}</p>
        {Object.entries(chosen).map(([name, value]) => (
          <input type="hidden" name={name} value={value} />
        ))}
        <WhyField why={why} faults={faults} words={words} />
        <p class="actions">
          <button type="submit" class="primary">
            {words.submitAll}
          </button>
        </p>
        <p class="working" role="status" data-working={words.working} />
      </form>
    </>
  );
}
