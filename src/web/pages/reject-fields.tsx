import type { RejectFault } from '../reject-choice.ts';
import type { RejectsWords } from './rejects-words.ts';

/** What every part of the pages of refused lines is given. */
export interface FieldProps {
  readonly faults: readonly RejectFault[];
  readonly words: RejectsWords;
}

/** What is wrong with a field, beside it. */
export function FaultOf({
  name,
  faults,
  words,
}: FieldProps & { readonly name: RejectFault['field'] }) {
  const own = faults.filter(({ field }) => field === name);
  if (own.length === 0) return null;
  return (
    <span class="fault" id={`${name}-fault`} role="alert">
      {own.map(({ code, value }) => words.faults[code](value)).join(' ')}
    </span>
  );
}

/** Ties a field to what is wrong with it, and to its hint. */
export function attributesOf(
  name: RejectFault['field'],
  faults: readonly RejectFault[],
  hint?: string,
) {
  const isFaulty = faults.some(({ field }) => field === name);
  const described = [isFaulty && `${name}-fault`, hint].filter(Boolean).join(' ');
  return {
    ...(isFaulty && { 'aria-invalid': true }),
    ...(described !== '' && { 'aria-describedby': described }),
  };
}

/** The field that asks why. */
export function WhyField({ why, faults, words }: FieldProps & { readonly why: string }) {
  return (
    <label>
      {words.why}
      <input
        name="why"
        value={why}
        maxlength={500}
        required
        {...attributesOf('why', faults, 'why-hint')}
      />
      <FaultOf name="why" faults={faults} words={words} />
      <span class="hint" id="why-hint">
        {words.whyHint}
      </span>
    </label>
  );
}
