/** What any answer must be, and what the answer to this request must be. */
import type { RawAnswer } from './client.ts';
import type { Operation } from './document.ts';
import type { Sent } from './request.ts';

/** Words that only our inside has. */
export const INSIDE = [
  / at .{1,200}\.[cm]?[tj]s:\d+/,
  /node_modules|node:internal/,
  /WRONGTYPE|NOSCRIPT|ERR [a-z]|user_script/,
  /relation "|column "|violates |syntax error at|pg_catalog/,
  /ECONNREFUSED|ETIMEDOUT|127\.0\.0\.1:\d/,
];

export function faultOf(sent: Sent, answer: RawAnswer): string | undefined {
  const { status, headers, text } = answer;
  if (!/^[A-Za-z0-9._-]{8,64}$/.test(headers.get('request-id') ?? '')) {
    // The server library's own words, for what is no HTTP/1.1.
    return sent.how === 'bytes' && [400, 431, 505].includes(status) ? undefined : 'no Request-Id';
  }
  if (status >= 500 && status !== 503) return 'a 5xx';
  if ((status === 503 || status === 429) && !/^\d+$/.test(headers.get('retry-after') ?? ''))
    return 'no Retry-After';
  if (headers.has('set-cookie')) return 'a header that we never send';
  const inside = INSIDE.find((words) => words.test(text));
  if (inside) return `words of the inside: ${inside}`;
  if (sent.wanted === 'no success' && status < 300) return 'a success, where none can be';
  if (typeof sent.wanted === 'number' && sent.method !== 'OPTIONS' && status !== sent.wanted)
    return `not ${sent.wanted}`;
  const known = matches(sent);
  return known
    ? documentFault(sent.operation, answer, sent.method === 'HEAD')
    : problemFault(answer, sent.method === 'HEAD');
}

/** Is it still a request of this operation, by method and path? */
function matches({ operation, method, target, how }: Sent): boolean {
  if (how === 'bytes') return false;
  if (method !== operation.method && !(method === 'HEAD' && operation.method === 'GET')) return false;
  const wanted = operation.path.split('/');
  const given = target.split(/[?#]/)[0].split('/');
  return (
    wanted.length === given.length &&
    wanted.every((part, i) => (part.startsWith('{') ? given[i] !== '' : part === given[i]))
  );
}

function documentFault(
  operation: Operation,
  { status, headers, text }: RawAnswer,
  bodiless: boolean,
): string | undefined {
  const rule = operation.answers.get(status);
  // Not modified stands for the answer that is documented.
  if (!rule) return status === 304 ? undefined : 'a status that is not documented';
  if (rule.types.size === 0 || bodiless) return undefined;
  const type = (headers.get('content-type') ?? '').split(';')[0];
  const check = rule.types.get(type);
  if (!check) return `a content type that is not documented: ${type}`;
  if (!type.endsWith('json')) return undefined;
  const body = parsed(text);
  if (body === undefined) return 'no JSON';
  const fault = check(body);
  if (fault) return `not as documented: ${fault}`;
  const { code } = body as { code?: string };
  return code && rule.codes && !rule.codes.includes(code)
    ? `a code that is not documented: ${code}`
    : undefined;
}

/** Of what is no operation: a page, or a refusal that says why. */
function problemFault({ status, headers, text }: RawAnswer, bodiless: boolean): string | undefined {
  if (status < 400 || bodiless) return undefined;
  if (headers.get('content-type') !== 'application/problem+json')
    return 'a refusal that is no problem document';
  const body = parsed(text) as Record<string, unknown> | undefined;
  const whole =
    body?.status === status && typeof body.code === 'string' && typeof body.request_id === 'string';
  return whole ? undefined : 'a problem that is not whole';
}

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
