import { LOCALES, type Locale } from './messages.ts';

/** Whether a text names a language of the pages. */
export function isLocale(text: unknown): text is Locale {
  return LOCALES.includes(text as Locale);
}

/**
 * Chooses the language of the pages: as chosen before, else as the browser asks, else English.
 *
 * @param chosen what a person chose earlier, as their cookie has it
 * @param accepted the header `Accept-Language`
 * @example chooseLocale(undefined, 'zh-CN,zh;q=0.9,en;q=0.8') // 'zh'
 */
export function chooseLocale(chosen: string | undefined, accepted: string | undefined): Locale {
  if (isLocale(chosen)) return chosen;
  const wishes = (accepted ?? '').split(',').map((part) => {
    const [tag = '', ...parameters] = part.trim().split(';');
    const q = parameters.map((one) => /^\s*q=([\d.]+)\s*$/.exec(one)?.[1]).find(Boolean);
    return { locale: tag.toLowerCase().split('-')[0], weight: q === undefined ? 1 : Number(q) };
  });
  const known = wishes.filter(({ locale, weight }) => isLocale(locale) && weight > 0);
  const [best] = known.sort((a, b) => b.weight - a.weight);
  return (best?.locale as Locale | undefined) ?? 'en';
}
