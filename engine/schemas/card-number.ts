/**
 * Finds card numbers in text: we take tokens only, and a number that got here by mistake must go no
 * further. 13 to 19 digits that pass the Luhn check, together or in groups parted by spaces or dashes.
 */

const DIGITS_MIN = 13;
const DIGITS_MAX = 19;
/** Groups of digits with at most three spaces or dashes (of whatever kind) between them. */
const RUN = /\d+(?:[\s\u2010-\u2015-]{1,3}\d+)*/g;
const ASCII = /^[\0-\x7f]*$/;

export function holdsCardNumber(text: string): boolean {
  if (text.length < DIGITS_MIN) return false;
  // Fullwidth digits and the like read as plain ones.
  const plain = ASCII.test(text) ? text : text.normalize('NFKC');
  for (const run of plain.match(RUN) ?? []) {
    if (run.length >= DIGITS_MIN && runHoldsOne(run.match(/\d+/g) ?? [])) return true;
  }
  return false;
}

/** A number starts and ends where a group does: "Flat 12 4111 1111 1111 1111" holds one, a longer number none. */
function runHoldsOne(groups: readonly string[]): boolean {
  for (let from = 0; from < groups.length; from++) {
    let digits = '';
    for (let to = from; to < groups.length && digits.length < DIGITS_MAX; to++) {
      digits += groups[to];
      if (digits.length >= DIGITS_MIN && digits.length <= DIGITS_MAX && passesLuhn(digits)) return true;
    }
  }
  return false;
}

function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = 0; i < digits.length; i++) {
    const digit = digits.charCodeAt(digits.length - 1 - i) - 48;
    const doubled = digit * 2;
    sum += i % 2 === 0 ? digit : doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}
