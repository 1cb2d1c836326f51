import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { emptyHead } from './request.ts';
import { answerFile, staticFile } from './static-files.ts';

const script = staticFile(Buffer.from('const words = 1;\n'.repeat(100)), 'text/javascript; charset=utf-8');

/** The answer to a browser that sends these headers. */
function ask(file: typeof script, headers: { accept_encoding?: string; if_none_match?: string } = {}) {
  const {
    status,
    body,
    headers: told = [],
  } = answerFile(file, { ...emptyHead('GET'), ...headers }, 'policy');
  const header = (name: string) => told[told.indexOf(name) + 1] as string;
  return { status, body: body as Buffer, header, encoded: told.includes('Content-Encoding') };
}

describe('a file of a page', () => {
  it('is packed for who takes gzip, and says that others get it as it is', () => {
    const packed = ask(script, { accept_encoding: 'gzip, deflate, br' });
    expect(packed.header('Content-Encoding')).toBe('gzip');
    expect(packed.body.length).toBeLessThan(script.bytes.length / 5);
    expect(gunzipSync(packed.body).equals(script.bytes)).toBe(true);
    expect(packed.header('Vary')).toBe('Accept-Encoding');
  });

  it.each(['', 'identity', 'br', 'gzip;q=0', 'gzip; q=0.000, br'])(
    'is as it is for "%s"',
    (accept_encoding) => {
      const plain = ask(script, { accept_encoding });
      expect(plain.encoded).toBe(false);
      expect(plain.body.equals(script.bytes)).toBe(true);
    },
  );

  it('is known by the tag of the encoding it came in', () => {
    const packed = ask(script, { accept_encoding: 'gzip' });
    const if_none_match = packed.header('ETag');
    expect(if_none_match).not.toBe(ask(script).header('ETag'));
    expect(ask(script, { accept_encoding: 'gzip', if_none_match }).status).toBe(304);
    expect(ask(script, { accept_encoding: 'gzip', if_none_match: `W/${if_none_match}` }).status).toBe(304);
    expect(ask(script, { if_none_match }).status).toBe(200);
  });

  it('is not packed where that would not make it smaller', () => {
    const font = staticFile(Buffer.from('abcabcabc'.repeat(100)), 'font/woff2');
    expect(ask(font, { accept_encoding: 'gzip' }).encoded).toBe(false);
    expect(ask(staticFile(Buffer.from('x'), 'text/plain'), { accept_encoding: 'gzip' }).encoded).toBe(false);
  });
});
