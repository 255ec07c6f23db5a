/** A chart that suits the browser's colours; `text` says what it shows to those who can not see it. */
export function Picture({
  url,
  text,
  width,
  height,
}: {
  readonly url: string;
  readonly text: string;
  readonly width: number;
  readonly height: number;
}) {
  const themed = (theme: string) => `${url}${url.includes('?') ? '&' : '?'}theme=${theme}`;
  return (
    // On a phone it is wider than the window: the keyboard must be able to scroll it.
    <picture tabindex={0}>
      <source media="(prefers-color-scheme: dark)" srcset={themed('dark')} />
      <img class="chart" src={themed('light')} alt={text} width={width} height={height} />
    </picture>
  );
}
