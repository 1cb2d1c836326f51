/** What a handler answers: a value, sent by the server exactly once. */
import { type OutcomeCode, type OutcomeRule, outcomeRule } from '../domain/outcomes.ts';

export type Reply = Answer | Refusal;

export type Answer = {
  status: number;
  /** '' for none. */
  body: string | Buffer;
  content_type: string;
  /** Names and values by turns. */
  headers?: readonly string[];
};

/** Becomes an RFC 9457 problem when sent, with the id of its request. */
export type Refusal = {
  code: OutcomeCode;
  detail: string;
  /** Further members of the problem. */
  members?: Readonly<Record<string, unknown>>;
  headers?: readonly string[];
};

export const JSON_TYPE = 'application/json';
export const PROBLEM_TYPE = 'application/problem+json';

/** What is true only now and only for this caller. */
const NO_STORE = ['Cache-Control', 'no-store'] as const;

export function json(status: number, value: unknown, headers: readonly string[] = NO_STORE): Answer {
  return { status, body: JSON.stringify(value), content_type: JSON_TYPE, headers };
}

/** Times written lately: a batch of checkouts has its times in common. */
const written = new Map<number, string>();
const WRITTEN_MAX = 32;

/** Times on the wire: ISO 8601, UTC, milliseconds. */
export function iso(time_ms: number): string {
  const known = written.get(time_ms);
  if (known !== undefined) return known;
  const text = new Date(time_ms).toISOString();
  if (written.size === WRITTEN_MAX) written.clear();
  written.set(time_ms, text);
  return text;
}

export type RefusalExtras = {
  detail?: string;
  members?: Readonly<Record<string, unknown>>;
  /** Instead of the catalogue's. */
  retry_after_seconds?: number;
  headers?: readonly string[];
};

export function refuse(code: OutcomeCode, extras: RefusalExtras = {}): Refusal {
  const rule = outcomeRule(code);
  const retry_after = extras.retry_after_seconds ?? rule.retry_after_seconds;
  const headers = [...(extras.headers ?? [])];
  if (retry_after !== undefined) headers.push('Retry-After', String(retry_after));
  return { code, detail: extras.detail ?? rule.detail, members: extras.members, headers };
}

export function isRefusal(reply: Reply): reply is Refusal {
  return 'code' in reply;
}

export function statusOf(reply: Reply): number {
  return isRefusal(reply) ? outcomeRule(reply.code).status : reply.status;
}

/** Where the catalogue is explained, by code. */
export const PROBLEMS_PATH = '/docs/problems';

/** By code: what is the same for every refusal of it, with its usual detail. */
const problemStart = new Map<OutcomeCode, string>();

/** The problem document. Built as text: at a sell-out nearly every answer is one. */
export function problemBody(refusal: Refusal, request_id: string): string {
  const head = `${startWithDetail(refusal)},"request_id":"${request_id}"`;
  if (!refusal.members) return `${head}}`;
  const members = JSON.stringify(refusal.members);
  return members === '{}' ? `${head}}` : `${head},${members.slice(1)}`;
}

function startWithDetail({ code, detail }: Refusal): string {
  const rule = outcomeRule(code);
  if (detail !== rule.detail) return startOf(code, rule, detail);
  let start = problemStart.get(code);
  if (start === undefined) {
    start = startOf(code, rule, detail);
    problemStart.set(code, start);
  }
  return start;
}

function startOf(code: OutcomeCode, { title, status }: OutcomeRule, detail: string): string {
  return JSON.stringify({ type: `${PROBLEMS_PATH}#${code}`, title, status, code, detail }).slice(0, -1);
}
