/**
 * A key of the sandbox's own and a certificate for it, as PayPal signs its webhooks with: made when first needed, and
 * kept nowhere. X.509 (RFC 5280), self-signed, written by hand: node:crypto reads certificates and makes none.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

export type SigningCertificate = { pem: string; sign(message: string): string };

const SEQUENCE = 0x30;
const SET = 0x31;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const NULL = 0x05;
const OBJECT_ID = 0x06;
const UTF8 = 0x0c;
const UTC_TIME = 0x17;
/** sha256WithRSAEncryption 1.2.840.113549.1.1.11, and commonName 2.5.4.3. */
const SHA256_WITH_RSA = Buffer.from('2a864886f70d01010b', 'hex');
const COMMON_NAME = Buffer.from('550403', 'hex');
const YEAR_MS = 365 * 24 * 3_600_000;

export function makeCertificate(common_name: string, now_ms: number): SigningCertificate {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const algorithm = der(SEQUENCE, der(OBJECT_ID, SHA256_WITH_RSA), der(NULL));
  const name = der(
    SEQUENCE,
    der(SET, der(SEQUENCE, der(OBJECT_ID, COMMON_NAME), der(UTF8, Buffer.from(common_name)))),
  );
  const serial = Buffer.concat([Buffer.from([0x01]), randomBytes(15)]);
  const validity = der(
    SEQUENCE,
    der(UTC_TIME, utcTime(now_ms - YEAR_MS)),
    der(UTC_TIME, utcTime(now_ms + YEAR_MS)),
  );
  const key = publicKey.export({ type: 'spki', format: 'der' });
  const to_sign = der(SEQUENCE, der(INTEGER, serial), algorithm, name, validity, name, key);
  const signature = der(BIT_STRING, Buffer.from([0]), signed(privateKey, to_sign));
  const certificate = der(SEQUENCE, to_sign, algorithm, signature);
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    pem: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    sign: (message) => signed(privateKey, Buffer.from(message)).toString('base64'),
  };
}

function signed(key: KeyObject, bytes: Buffer): Buffer {
  return sign('RSA-SHA256', bytes, key);
}

/** One element: tag, length, contents. */
function der(tag: number, ...contents: Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  const { length } = body;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), body]);
  const bytes = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...bytes]), body]);
}

/** YYMMDDhhmmssZ. */
function utcTime(at_ms: number): Buffer {
  return Buffer.from(`${new Date(at_ms).toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`);
}
