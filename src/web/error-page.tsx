/** The page that says what went wrong, and leads back. */
export function ErrorPage({
  words,
  back,
  detail,
}: {
  readonly words: string;
  readonly back: string;
  readonly detail: string | null;
}) {
  return (
    <>
      <section class="notice trouble" role="alert">
        <h1>{words}</h1>
        {detail && <p>{detail}</p>}
      </section>
      <p class="actions">
        <a class="button" href="/">
          {back}
        </a>
      </p>
    </>
  );
}
