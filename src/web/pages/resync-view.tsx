import type { ComponentChildren } from 'preact';
import { formatChinaIso, parseTime } from '../../core/china-time.ts';
import { DATASET_NAMES } from '../../core/dataset.ts';
import type { OrgRow } from '../../store/orgs.ts';
import type { PreviewedWindow } from '../../sync/preview.ts';
import type { ResyncPlan } from '../../sync/resync-plan.ts';
import type { Messages } from '../messages.ts';
import type { Fault, TypedResync } from '../resync-choice.ts';
import { Plan } from './resync-plan-view.tsx';
import { Preview } from './resync-preview-view.tsx';
import type { ResyncWords } from './resync-words.ts';

/** What every part of the page is given. */
export interface ResyncProps {
  readonly typed: TypedResync;
  readonly faults: readonly Fault[];
  readonly orgs: readonly OrgRow[];
  /** Null until an interval is chosen that can be had. */
  readonly plan: ResyncPlan | null;
  /** Null until it is asked for. */
  readonly preview: readonly PreviewedWindow[] | null;
  readonly mayWrite: boolean;
  readonly common: Messages;
  readonly words: ResyncWords;
}

/** Chooses a re-sync, shows what it will do, and lets it be looked at and recorded. */
export function Resync(props: ResyncProps) {
  const { orgs, plan, preview, words } = props;
  return (
    <>
      <h1>{words.title}</h1>
      <p class="hint">{words.intro}</p>
      {orgs.length === 0 ? (
        <div class="card">
          <p>{words.noOrgs}</p>
          <pre>vcc-sync org add WJ0105</pre>
        </div>
      ) : (
        <ChoiceForm {...props} />
      )}
      {plan && <Plan {...props} plan={plan} />}
      {plan && preview && <Preview windows={preview} common={props.common} words={words} />}
      {plan && <RecordForm {...props} plan={plan} />}
    </>
  );
}

interface FieldProps {
  readonly name: keyof TypedResync;
  readonly faults: readonly Fault[];
  readonly words: ResyncWords;
}

/** What is wrong with a field, beside it. */
function FaultOf({ name, faults, words }: FieldProps) {
  const own = faults.filter(({ field }) => field === name);
  if (own.length === 0) return null;
  return (
    <span class="fault" id={`${name}-fault`} role="alert">
      {own.map(({ code, value }) => words.faults[code](value)).join(' ')}
    </span>
  );
}

/** Ties a field to what is wrong with it. */
function faultAttributes({ name, faults }: Pick<FieldProps, 'name' | 'faults'>) {
  const isFaulty = faults.some(({ field }) => field === name);
  return isFaulty ? { 'aria-invalid': true, 'aria-describedby': `${name}-fault` } : {};
}

function Choices({
  legend,
  children,
  ...field
}: FieldProps & { readonly legend: string; readonly children: ComponentChildren }) {
  return (
    <fieldset {...faultAttributes(field)}>
      <legend>{legend}</legend>
      <FaultOf {...field} />
      <div class="choices">{children}</div>
    </fieldset>
  );
}

function ChoiceForm({ typed, faults, orgs, common, words }: ResyncProps) {
  const isChosen = (name: string) => typed.dataset.includes('all') || typed.dataset.includes(name);
  return (
    <form method="get" action="/resync" class="card fields" aria-label={words.choose}>
      <Choices name="org" legend={words.org} faults={faults} words={words}>
        {orgs.map(({ orgCode, name }) => (
          <label class="inline">
            <input
              type="checkbox"
              name="org"
              value={orgCode}
              checked={typed.org.includes(orgCode)}
            />
            <span>
              {orgCode} {name}
            </span>
          </label>
        ))}
      </Choices>
      <Choices name="dataset" legend={words.dataset} faults={faults} words={words}>
        {DATASET_NAMES.map((name) => (
          <label class="inline">
            <input type="checkbox" name="dataset" value={name} checked={isChosen(name)} />
            <span>{common.datasets[name]}</span>
          </label>
        ))}
      </Choices>
      <TimeField name="from" label={words.from} typed={typed} faults={faults} words={words} />
      <TimeField name="to" label={words.to} typed={typed} faults={faults} words={words} />
      <p class="actions">
        <button type="submit">{words.plan}</button>
      </p>
    </form>
  );
}

function TimeField({
  name,
  label,
  typed,
  ...rest
}: FieldProps & {
  readonly name: 'from' | 'to';
  readonly label: string;
  readonly typed: TypedResync;
}) {
  const field = { name, ...rest };
  const at = parseTime(typed[name].trim());
  return (
    <label>
      {label}
      <input
        type="datetime-local"
        name={name}
        step={1}
        required
        value={at === null ? typed[name] : formatChinaIso(at).slice(0, 19)}
        {...faultAttributes(field)}
      />
      <FaultOf {...field} />
    </label>
  );
}

/** What was chosen, as part of an address: whoever comes back to it finds it chosen still. */
function addressOf({ org, dataset, from, to }: TypedResync): string {
  const fields = [
    ...org.map((code) => ['org', code]),
    ...dataset.map((name) => ['dataset', name]),
    ['from', from],
    ['to', to],
  ];
  return new URLSearchParams(fields).toString();
}

/** What is to be recorded: of the interval, the part that can be had. */
function RecordForm(props: ResyncProps & { readonly plan: ResyncPlan }) {
  const { typed, plan, mayWrite, words } = props;
  const { obtainable } = plan;
  if (!obtainable) return null;
  if (!mayWrite) return <p class="notice">{words.viewer}</p>;
  return (
    <>
      <h2>{words.record}</h2>
      <form method="post" action="/resync" class="card record">
        {typed.org.map((code) => (
          <input type="hidden" name="org" value={code} />
        ))}
        {typed.dataset.map((name) => (
          <input type="hidden" name="dataset" value={name} />
        ))}
        <input type="hidden" name="from" value={formatChinaIso(obtainable.from)} />
        <input type="hidden" name="to" value={formatChinaIso(obtainable.to)} />
        <RecordFields {...props} />
        <p class="hint">{words.previewHint}</p>
        <p class="actions">
          <button type="submit" formaction={`/resync/preview?${addressOf(typed)}`} formnovalidate>
            {words.preview}
          </button>
          <button type="submit" class="primary">
            {words.submit}
          </button>
        </p>
        <p class="working" role="status" data-working={words.working} />
      </form>
    </>
  );
}

function RecordFields({ typed, faults, words }: ResyncProps) {
  const of = (name: keyof TypedResync) => ({ name, faults, words });
  return (
    <>
      <label>
        {words.reason}
        <input
          name="reason"
          value={typed.reason}
          maxlength={500}
          required
          {...faultAttributes(of('reason'))}
        />
        <FaultOf {...of('reason')} />
        <span class="hint">{words.reasonHint}</span>
      </label>
      <label class="inline">
        <input
          type="checkbox"
          name="force"
          value="true"
          checked={typed.force}
          aria-describedby="force-hint"
        />
        <span>{words.force}</span>
      </label>
      <p class="hint" id="force-hint">
        {words.forceHint}
      </p>
      <label class="short">
        {words.maxRejects}
        <input
          name="max_rejects"
          inputmode="decimal"
          value={typed.max_rejects}
          {...faultAttributes(of('max_rejects'))}
        />
        <FaultOf {...of('max_rejects')} />
      </label>
    </>
  );
}
