import type { z } from 'zod';
import { OtherFormError } from '../core/errors.ts';
import type { Answered } from './attempt.ts';
import type { ApiRequest } from './request.ts';

/** Sends a call of the document, as the client does. */
export type Caller = (request: ApiRequest, signal: AbortSignal) => Promise<Answered>;

/** How many faults of an answer are named. */
const NAMED = 5;

/**
 * Checks that an answer is JSON in the form that is documented for its call.
 *
 * @throws OtherFormError that names the fields that are wrong, and quotes nothing
 */
export function readForm<S extends z.ZodType>(
  { interfaceCode }: Pick<ApiRequest, 'interfaceCode'>,
  answered: Answered,
  schema: S,
): z.output<S> {
  if (answered.kind === 'bytes') {
    answered.bytes.stop();
    throw otherForm(interfaceCode, 'it is no JSON');
  }
  const result = schema.safeParse(answered.json.value);
  if (result.success) return result.data;
  const paths = result.error.issues.map(({ path }) => path.join('.') || 'all of it');
  const named = [...new Set(paths)];
  const more = named.length > NAMED ? ' …' : '';
  throw otherForm(interfaceCode, `wrong is ${named.slice(0, NAMED).join(', ')}${more}`);
}

/** The failure of an answer that is not as documented. */
export function otherForm(interfaceCode: string, what: string): OtherFormError {
  return new OtherFormError(
    `${interfaceCode} was answered in another form than documented: ${what}`,
  );
}
