import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { qrMatrix } from './qr.ts';

/** Read back, when they were made, by a decoder that has nothing to do with this code (jsQR 1.4). */
const READ_BACK = [
  ['upi://pay?pa=shop@bank&am=45.00', '3392681420e96f661df1bd4975242c67'],
  [`https://pay.example/${'a'.repeat(160)}`, '50a7f69ac35a506498a1a2037acbba70'],
  ['x'.repeat(412), '1545cdf36ca5be9fd786b19267b7869a'],
] as const;

describe('a QR code', () => {
  it.each(READ_BACK)('of %s is the one that was read back', (text, digest) => {
    const rows = qrMatrix(text)?.map((row) => row.map(Number).join(''));
    expect(
      createHash('sha256')
        .update(rows?.join('\n') ?? '')
        .digest('hex')
        .slice(0, 32),
    ).toBe(digest);
  });

  it('is as small as its text allows', () => {
    expect(qrMatrix('x'.repeat(14))).toHaveLength(21);
    expect(qrMatrix('x'.repeat(15))).toHaveLength(25);
    // The length takes two bytes from version 10 on.
    expect(qrMatrix('x'.repeat(180))).toHaveLength(53);
    expect(qrMatrix('x'.repeat(181))).toHaveLength(57);
  });

  it('counts bytes, not letters', () => {
    expect(qrMatrix('₹'.repeat(5))).toHaveLength(25);
  });

  it('is none where the text is too long', () => {
    expect(qrMatrix('x'.repeat(413))).toBeUndefined();
  });
});
