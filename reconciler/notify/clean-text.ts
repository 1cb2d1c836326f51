/**
 * Text of buyers and operators on its way into headers, mails and documents: one line, no control characters, and
 * nothing that turns the direction of what stands around it.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g;
/** Marks, embeddings, overrides and isolates of writing direction, and the byte order mark. */
const DIRECTION = /[\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

export function oneLine(text: string): string {
  return text.replace(LONE, '\ufffd').replace(CONTROL, ' ').replace(DIRECTION, '').trim();
}

/** Half a surrogate pair is no letter. */
const LONE = /\p{Surrogate}/gu;

const ADDRESS = /^[^\s@<>,;:"()[\]\\]{1,64}@[A-Za-z0-9\u0080-\uffff](?:[A-Za-z0-9\u0080-\uffff.-]{0,252})$/u;

/** One bare address: no list, no name, no route, nothing that a mail server would read as more than one. */
export function isMailAddress(text: string): boolean {
  return text.length <= 254 && ADDRESS.test(text) && oneLine(text) === text;
}

/** E.164: a plus, and 8 to 15 digits. */
export function isPhone(text: string): boolean {
  return /^\+[1-9]\d{7,14}$/.test(text);
}

/** A link that is safe to show as one; undefined for whatever is not http. */
export function webLink(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : undefined;
}
