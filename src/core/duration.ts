const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/**
 * Reads a duration such as `500ms`, `30s`, `15m`, `1h` or `28d` into milliseconds; null if it is none.
 *
 * @example parseDuration('15m') // 900000
 */
export function parseDuration(text: string): number | null {
  const parts = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text.trim());
  const ms = parts ? Number(parts[1]) * UNITS[parts[2]!]! : Number.NaN;
  return Number.isSafeInteger(ms) ? ms : null;
}

/**
 * Writes milliseconds for people, in its two largest units.
 *
 * @example formatDuration(93_784_000) // "1d 2h"
 */
export function formatDuration(ms: number): string {
  const parts: string[] = [];
  let rest = Math.max(0, Math.floor(ms / 1000)) * 1000;
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = UNITS[unit]!;
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * size;
  }
  return parts.slice(0, 2).join(' ') || '0s';
}

const SIZES: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};

/**
 * Reads a size such as `64KiB`, `512MiB` or `4GiB` into bytes; null if it is none.
 *
 * @example parseSize('4GiB') // 4294967296
 */
export function parseSize(text: string): number | null {
  const parts = /^(\d{1,6})\s?(B|KiB|MiB|GiB)$/.exec(text.trim());
  return parts ? Number(parts[1]) * SIZES[parts[2]!]! : null;
}

/** Writes bytes for people: `12.3 MiB`. */
export function formatSize(bytes: number): string {
  const [unit, size] =
    Object.entries(SIZES).findLast(([, size]) => bytes >= size) ?? (['B', 1] as const);
  return unit === 'B' ? `${bytes} B` : `${(bytes / size).toFixed(1)} ${unit}`;
}
