/** Where a buyer is told what happens to the order. */
export type Contact = { email?: string; phone?: string };

/** Longest address that SMTP carries (RFC 5321, 4.5.3.1.3: a path of 256 with its brackets). */
export const EMAIL_LENGTH_MAX = 254;

/**
 * An address as mail servers take it unquoted: nothing in it could end a header or stand for several recipients.
 * Domains with letters beyond ASCII are written as IDNA (xn--).
 */
export const EMAIL_PATTERN =
  "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$";

/** E.164. */
export const PHONE_PATTERN = '^\\+[1-9][0-9]{6,14}$';

const EMAIL = new RegExp(EMAIL_PATTERN);
const PHONE = new RegExp(PHONE_PATTERN);

export function isEmail(text: unknown): text is string {
  return typeof text === 'string' && text.length <= EMAIL_LENGTH_MAX && EMAIL.test(text);
}

export function isPhone(text: unknown): text is string {
  return typeof text === 'string' && PHONE.test(text);
}
