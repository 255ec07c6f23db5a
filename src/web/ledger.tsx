import type { ComponentChildren } from 'preact';

/** A head of a column; those of numbers stand to the right. */
export type Head = string | { readonly number: string };

/** A table of a ledger, which scrolls by itself where it is wider or longer than its place. */
export function Ledger({
  label,
  heads,
  children,
}: {
  readonly label: string;
  readonly heads: readonly Head[];
  readonly children: ComponentChildren;
}) {
  return (
    <section class="scroll tall" aria-label={label} tabindex={0}>
      <table>
        <thead>
          <tr>
            {heads.map((head) => (
              <th scope="col" class={typeof head === 'string' ? undefined : 'number'}>
                {typeof head === 'string' ? head : head.number}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
