/**
 * Operators' requests by Idempotency-Key: claimed before they take effect, answered after.
 *
 * CLAIM: $1 sale_no  $2 key  $3 kind  $4 fingerprint
 * KNOWN: $1 sale_no  $2 key
 * ANSWER: $1 sale_no, then columns: $2 keys  $3 answers
 * ANSWERED: $1 sale_no  $2 keys
 */
import { changes, type Queryable, rows } from '../../platform/postgres.ts';

const CLAIM = {
  name: 'claim_request',
  text: `
    INSERT INTO operator_requests (sale_no, key, kind, fingerprint) VALUES ($1, $2, $3, $4)
    ON CONFLICT (sale_no, key) DO NOTHING`,
};

const KNOWN = {
  name: 'known_request',
  text: 'SELECT kind, fingerprint, answer FROM operator_requests WHERE sale_no = $1 AND key = $2',
};

const ANSWER = {
  name: 'answer_requests',
  text: `
    UPDATE operator_requests r SET answer = a.answer::jsonb
    FROM unnest($2::text[], $3::text[]) AS a (key, answer)
    WHERE r.sale_no = $1 AND r.key = a.key AND r.answer IS NULL`,
};

const ANSWERED = {
  name: 'answered_requests',
  text: 'SELECT key FROM operator_requests WHERE sale_no = $1 AND key = ANY ($2::text[]) AND answer IS NOT NULL',
};

export type OperatorRequest = {
  tenant: string;
  sale: string;
  /** Idempotency-Key. */
  key: string;
  /** 16 bytes: method, path and canonical body. */
  fingerprint: Buffer;
};

export type RequestKind = 'topup' | 'reduce' | 'refund' | 'return';

export type Claim<A> = { kind: 'new' } | { kind: 'replay'; answer: A } | { kind: 'key_reused' };

/**
 * `new` for the first, and for one that was claimed but never answered: carrying it out again must be
 * harmless then. Two at once: the second waits for the first to commit.
 */
export async function claimRequest<A>(
  tx: Queryable,
  saleNo: number,
  kind: RequestKind,
  request: { key: string; fingerprint: Buffer },
): Promise<Claim<A>> {
  if ((await changes(tx, CLAIM, [saleNo, request.key, kind, request.fingerprint])) === 1) {
    return { kind: 'new' };
  }
  return knownRequest(tx, saleNo, kind, request);
}

/** Claims nothing: for requests whose refusal must leave the key free. */
export async function knownRequest<A>(
  tx: Queryable,
  saleNo: number,
  kind: RequestKind,
  request: { key: string; fingerprint: Buffer },
): Promise<Claim<A>> {
  const [known] = await rows<{ kind: RequestKind; fingerprint: Buffer; answer: A | null }>(tx, KNOWN, [
    saleNo,
    request.key,
  ]);
  if (!known) return { kind: 'new' };
  if (known.kind !== kind || !known.fingerprint.equals(request.fingerprint)) return { kind: 'key_reused' };
  return known.answer === null ? { kind: 'new' } : { kind: 'replay', answer: known.answer };
}

export async function answerRequest(
  tx: Queryable,
  saleNo: number,
  key: string,
  answer: unknown,
): Promise<void> {
  await answerRequests(tx, saleNo, [{ key, answer }]);
}

/** Unknown keys are passed over; an answer that is there stays. */
export async function answerRequests(
  tx: Queryable,
  saleNo: number,
  answers: readonly { key: string; answer: unknown }[],
): Promise<void> {
  if (answers.length === 0) return;
  await changes(tx, ANSWER, [
    saleNo,
    answers.map((item) => item.key),
    answers.map((item) => JSON.stringify(item.answer)),
  ]);
}

/** Which of these have their answer, so have been carried out. */
export async function answeredRequests(
  tx: Queryable,
  saleNo: number,
  keys: readonly string[],
): Promise<Set<string>> {
  if (keys.length === 0) return new Set();
  return new Set((await rows<{ key: string }>(tx, ANSWERED, [saleNo, keys])).map(({ key }) => key));
}
