/**
 * A certificate as a file: JSON lines. The first is the certificate, the last closes the file with the number of lines
 * and the hash of all bytes before it, signed where the deployment has a key; between them stands the evidence.
 */
import { createHash } from 'node:crypto';
import { type Pool, type Queryable, transaction, withConnection } from '../../platform/postgres.ts';
import type { LiveStock } from '../audit.ts';
import { evidence } from './evidence.ts';
import type { Signer } from './sign.ts';
import { type Certificate, summarize } from './summary.ts';

export type WriteCertificate = {
  /** A pool whose statements may take long. */
  pool: Pool;
  sale_no: number;
  readLive?: () => Promise<LiveStock | null>;
  signer?: Signer;
  /** Whether to go on, once the totals are known. Default: yes. */
  accept?: (certificate: Certificate) => boolean;
  /** Takes the next bytes; awaited, so that a slow disk holds the reading up and not the memory. */
  write: (bytes: string) => Promise<void>;
};

export type Written = { certificate: Certificate; written: boolean; lines: number; sha256: string };

/** Plans of a whole sale are made by its size; plans by key are for single orders (platform/postgres.ts). */
export const WHOLE_SALE = {
  text: `
    SELECT set_config('enable_seqscan', 'on', true), set_config('enable_hashjoin', 'on', true),
      set_config('enable_mergejoin', 'on', true)`,
};
const BY_KEY = {
  text: `
    SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
      set_config('enable_mergejoin', 'off', true)`,
};
const SNAPSHOT = 'BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY';

/** The certificate alone, in a snapshot of its own. */
export function readCertificate(
  pool: Pool,
  read: (tx: Queryable) => Promise<Certificate>,
): Promise<Certificate> {
  return withConnection(pool, (client) =>
    transaction(
      client,
      async () => {
        await client.query(WHOLE_SALE);
        return read(client);
      },
      SNAPSHOT,
    ),
  );
}

/** Everything is read in one snapshot, however long it takes. */
export function writeCertificate(options: WriteCertificate): Promise<Written> {
  const { pool, sale_no, readLive, signer, write } = options;
  const hash = createHash('sha256');
  let lines = 0;
  const put = async (page: readonly string[]) => {
    if (page.length === 0) return;
    const bytes = `${page.join('\n')}\n`;
    hash.update(bytes, 'utf8');
    lines += page.length;
    await write(bytes);
  };
  const work = async (tx: Queryable): Promise<Written> => {
    await tx.query(WHOLE_SALE);
    const certificate = await summarize(tx, sale_no, readLive);
    if (options.accept && !options.accept(certificate)) {
      return { certificate, written: false, lines: 0, sha256: '' };
    }
    await put([JSON.stringify(certificate)]);
    await tx.query(BY_KEY);
    for await (const page of evidence(tx, sale_no, certificate)) await put(page);
    const sha256 = hash.digest('hex');
    await write(`${JSON.stringify({ kind: 'end', lines, sha256, signature: signer?.(sha256) ?? null })}\n`);
    return { certificate, written: true, lines: lines + 1, sha256 };
  };
  // Never run twice: what is written is written.
  return withConnection(pool, (client) => transaction(client, () => work(client), SNAPSHOT));
}
