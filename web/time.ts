/** Times and time left, in words. */

/** "01:02:03", or "2 d 01:02:03"; never below zero. Rounded up: it reads zero only when it is over. */
export function clockText(left_ms: number): string {
  const seconds = Math.max(0, Math.ceil(left_ms / 1000));
  const two = (value: number) => String(value).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const text = `${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  return days > 0 ? `${days} d ${text}` : text;
}

/** "1 min 05 s", "12 s": for short waits inside a sentence. */
export function waitText(left_ms: number): string {
  const seconds = Math.max(0, Math.ceil(left_ms / 1000));
  if (seconds >= 3600) return clockText(left_ms);
  if (seconds < 60) return `${seconds} s`;
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, '0')} s`;
}

/** Time of day where the reader is, to the second. */
export function timeOfDay(iso: string, locale?: string): string {
  const format = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
  return format.format(new Date(iso));
}

/** Day and time, for times that may be on another day. */
export function dayAndTime(iso: string, locale?: string): string {
  const format = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'short' });
  return format.format(new Date(iso));
}
