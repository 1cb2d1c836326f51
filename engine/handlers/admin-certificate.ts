/**
 * GET /v1/admin/sales/{id}/certificate: what a sale came to, as its certificate says it. The evidence behind it, event by
 * event, is written by `npx stampede certificate`, whose first line is this same document.
 */
import { createHash } from 'node:crypto';
import type { Signer } from '../../ledger/certificate/sign.ts';
import {
  type Certificate,
  type SaleToCertify,
  saleToCertify,
  summarize,
} from '../../ledger/certificate/summary.ts';
import { readCertificate } from '../../ledger/certificate/write-certificate.ts';
import { readLiveStock } from '../../lua/live-stock.ts';
import { RedisUnavailable } from '../../platform/redis.ts';
import { LEDGER_WRITE_MS } from '../ledger-guard.ts';
import { createQueryReader } from '../query.ts';
import { json, refuse } from '../reply.ts';
import type { Handler } from '../route.ts';
import { type CertificateQuery, certificateQuery } from '../schemas/certificate.ts';
import type { BodySchema } from '../schemas/validate.ts';
import type { Services } from './services.ts';

/** Every order of the sale is added up: a large one takes seconds. */
const CERTIFICATE_MS = 12_000;

const readQuery = createQueryReader(certificateQuery as BodySchema<CertificateQuery>);

export function certificateHandler(
  { redis, db, ledger }: Pick<Services, 'redis' | 'db' | 'ledger'>,
  signer: Signer | undefined,
): Handler {
  return async ({ head, caller }) => {
    const [id] = head.params;
    const read = readQuery(head);
    if ('code' in read) return read;
    const sale = await ledger.ask(() => saleToCertify(db, caller.tenant, id), LEDGER_WRITE_MS);
    if (!sale) return refuse('not_found');
    const certificate = await ledger.ask(() => certify(sale), CERTIFICATE_MS);
    if (certificate.interim && read.query.interim !== 'true') {
      return refuse('certificate_not_ready', { members: { missing: certificate.missing } });
    }
    const sha256 = createHash('sha256').update(JSON.stringify(certificate)).digest('hex');
    return json(200, { certificate, sha256, signature: signer?.(sha256) ?? null });
  };

  /** Without Redis a sale that only its closing time has closed is not known to be over. */
  async function certify(sale: SaleToCertify): Promise<Certificate> {
    const readLive = () => readLiveStock(redis, sale);
    try {
      return await readCertificate(db, (tx) => summarize(tx, sale.sale_no, readLive));
    } catch (error) {
      if (!(error instanceof RedisUnavailable)) throw error;
      return readCertificate(db, (tx) => summarize(tx, sale.sale_no));
    }
  }
}
