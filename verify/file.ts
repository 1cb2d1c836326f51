/** A certificate, from the file alone: every line is read once, hashed, and lived through. */
import { createHash, createPublicKey, verify } from 'node:crypto';
import { type Books, createBooks, HISTORY_KINDS } from './books.ts';
import { type Claim, readClaim } from './certificate.ts';
import { conclude } from './conclude.ts';
import { createEvidence } from './evidence.ts';
import type { Findings } from './findings.ts';
import { type Line, readLines } from './lines.ts';
import { count, type Json, Malformed, object, parse, text } from './read.ts';

/** What the lines between the first and the last must be, in this order. */
const SECTIONS = ['history', 'unchained', 'attempt', 'movement', 'request'] as const;

export type FileResult = {
  /** Undefined if not even the first line can be read. */
  claim?: Claim;
  orders: number;
  events: number;
  lines: number;
  sha256: string;
  /** DER of the key that signed, base64; null if nobody did. */
  signed_by: string | null;
};

export async function verifyFile(
  path: string,
  findings: Findings,
  options: { public_key?: string; onLine?: (lines: number) => void } = {},
): Promise<FileResult> {
  const hash = createHash('sha256');
  let claim: Claim | undefined;
  let keep: ReturnType<typeof keeper> | undefined;
  let end: Json | undefined;
  let lines = 0;
  for await (const line of readLines(path)) {
    lines += 1;
    if (lines % 10_000 === 0) options.onLine?.(lines);
    if (end) {
      findings.add('format', 'the file goes on behind its end', lines);
      break;
    }
    if (!line.ended) findings.add('format', 'the file is cut off in the middle of this line', lines);
    try {
      const json = parse(line.bytes.toString('utf8'));
      if (lines === 1) {
        claim = readClaim(json);
        keep = keeper(claim, findings);
      } else if (json.kind === 'end') end = json;
      else keep?.take(json, line, lines);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      findings.add('format', error.message, lines);
      if (lines === 1) return { orders: 0, events: 0, lines, sha256: '', signed_by: null };
    }
    if (!end) hash.update(line.bytes).update('\n');
  }
  const sha256 = hash.digest('hex');
  if (!claim || !keep) {
    findings.add('format', 'the file is empty');
    return { orders: 0, events: 0, lines, sha256, signed_by: null };
  }
  const signed_by = end ? closed(end, { lines: lines - 1, sha256 }, options.public_key, findings) : null;
  if (!end) findings.add('format', 'the file is cut off: its last line is missing', lines);
  keep.conclude();
  return { claim, orders: keep.books.orders.size, events: keep.events(), lines, sha256, signed_by };
}

/** Reads the lines between the first and the last. */
function keeper(claim: Claim, findings: Findings) {
  const books: Books = createBooks(claim, findings);
  const evidence = createEvidence(claim, books, findings);
  let section = 0;
  let events = 0;
  let unchained = 0;
  let head = createHash('sha256')
    .update(`stampede history 1\n${JSON.stringify([claim.tenant, claim.sale])}`)
    .digest();
  let last_id = 0;

  function take(json: Json, { bytes }: Line, no: number): void {
    const kind = text(json, 'kind');
    const named = HISTORY_KINDS.includes(kind) ? 'history' : kind;
    // Behind the line that says so stand events that the chain has not taken yet.
    const at = named === 'history' && section === 1 ? 1 : (SECTIONS as readonly string[]).indexOf(named);
    if (at < 0) throw new Malformed(`there are no lines of kind ${kind}`);
    if (at < section) throw new Malformed(`a line of kind ${kind} has no place here`);
    section = at;
    if (named === 'history') {
      if (section === 0) {
        events += 1;
        last_id = count(json, 'id');
        head = createHash('sha256').update(head).update(bytes).digest();
      } else unchained += 1;
      books.take(json, no);
    } else if (named === 'attempt') evidence.attempt(json, no);
    else if (named === 'movement') evidence.movement(json, no);
    else if (named === 'request') evidence.request(json, no);
  }

  return {
    books,
    take,
    events: () => events + unchained,
    conclude() {
      if (events !== claim.events || last_id !== claim.last_id)
        findings.add(
          'chain',
          `the chain has ${claim.events} links up to event ${claim.last_id}; the file has ${events} up to ${last_id}`,
        );
      if ((events === 0 ? null : head.toString('hex')) !== claim.head)
        findings.add('chain', 'the chain over the events does not end where the certificate says');
      if (unchained !== claim.unchained)
        findings.add(
          'chain',
          `${unchained} events are not in the chain, and the certificate says ${claim.unchained}`,
        );
      conclude(claim, books, evidence, findings);
    },
  };
}

/** The last line against what was read. Returns who signed. */
function closed(
  end: Json,
  real: { lines: number; sha256: string },
  trusted: string | undefined,
  findings: Findings,
): string | null {
  const no = real.lines + 1;
  if (end.lines !== real.lines)
    findings.add('format', `the file should have ${String(end.lines)} lines before its last`, no);
  if (end.sha256 !== real.sha256)
    findings.add('format', 'the bytes of the file are not those it was closed with', no);
  if (end.signature === null || end.signature === undefined) {
    if (trusted) findings.add('signature', 'the file is not signed', no);
    return null;
  }
  try {
    const signature = object(end.signature, 'signature');
    const public_key = text(signature, 'public_key');
    const key = createPublicKey({ key: Buffer.from(public_key, 'base64'), format: 'der', type: 'spki' });
    const value = Buffer.from(text(signature, 'value'), 'base64');
    const signed = Buffer.from(`stampede certificate 1\n${real.sha256}`);
    if (
      signature.algorithm !== 'ed25519' ||
      key.asymmetricKeyType !== 'ed25519' ||
      !verify(null, signed, key, value)
    )
      findings.add('signature', 'the signature is not of this file', no);
    if (trusted && trusted !== public_key)
      findings.add('signature', 'the file is signed by another key than the one given', no);
    return public_key;
  } catch (error) {
    findings.add('signature', `the signature cannot be read: ${(error as Error).message}`, no);
    return null;
  }
}
