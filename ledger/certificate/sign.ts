/**
 * Who vouches for a certificate: the deployment, by an Ed25519 key of its own (CERTIFICATE_KEY). What is signed is a
 * text with a name of its own, so that no signature made for anything else can be taken for one of these.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';

export type Signature = { algorithm: 'ed25519'; public_key: string; value: string };
export type Signer = (sha256: string) => Signature;

/** `key`: PKCS#8, PEM or base64 of its DER. Throws if it is not an Ed25519 private key. */
export function createSigner(key: string): Signer {
  const private_key = readKey(key);
  if (private_key.asymmetricKeyType !== 'ed25519') throw new Error('not an Ed25519 key');
  const public_key = createPublicKey(private_key).export({ type: 'spki', format: 'der' }).toString('base64');
  return (sha256) => ({
    algorithm: 'ed25519',
    public_key,
    value: sign(null, Buffer.from(`stampede certificate 1\n${sha256}`), private_key).toString('base64'),
  });
}

function readKey(key: string): KeyObject {
  if (key.includes('-----BEGIN')) return createPrivateKey(key);
  return createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' });
}
