/** A request as the server has read it: its head, read once, in our own words. */
import { holdsCardNumber } from './schemas/card-number.ts';

/** Strings are '' where the header is absent. A header that came twice holds both, comma-separated. */
export type Head = {
  /** The client's, if it is one we can repeat, else ours. */
  request_id: string;
  method: string;
  /** Only read where no route matched. */
  path: string;
  /** Path parameters in their order, decoded. */
  params: readonly string[];
  query: string;
  /** Address of the connection; read only where somebody needs it. */
  peer: string;
  authorization: string;
  content_type: string;
  idempotency_key: string;
  forwarded_for: string;
  if_none_match: string;
  accept_encoding: string;
  /** The client's own name for this request, if it gave one. */
  offered_id: string;
  content_length: string;
  transfer_encoding: string;
  host: string;
  /** All of them by lower-case name, for routes that ask for it. */
  all: Record<string, string> | undefined;
};

/** A head without its headers. */
export function emptyHead(method: string): Head {
  return {
    request_id: '',
    method,
    path: '',
    params: [],
    query: '',
    peer: '',
    authorization: '',
    content_type: '',
    idempotency_key: '',
    forwarded_for: '',
    if_none_match: '',
    accept_encoding: '',
    offered_id: '',
    content_length: '',
    transfer_encoding: '',
    host: '',
    all: undefined,
  };
}

/** Takes a header in. `name` in lower case. */
export function takeHeader(head: Head, name: string, value: string): void {
  switch (name) {
    case 'authorization':
      head.authorization = joined(head.authorization, value);
      break;
    case 'content-type':
      head.content_type = joined(head.content_type, value);
      break;
    case 'content-length':
      // One without a number is none, and must not pass for absent.
      head.content_length = joined(head.content_length, value || 'empty');
      break;
    case 'transfer-encoding':
      head.transfer_encoding = joined(head.transfer_encoding, value || 'empty');
      break;
    case 'host':
      head.host = joined(head.host, value);
      break;
    case 'idempotency-key':
      head.idempotency_key = joined(head.idempotency_key, value);
      break;
    case 'x-forwarded-for':
      head.forwarded_for = joined(head.forwarded_for, value);
      break;
    case 'if-none-match':
      head.if_none_match = value;
      break;
    case 'accept-encoding':
      head.accept_encoding = value;
      break;
    case 'request-id':
      head.offered_id = value;
      break;
  }
  if (head.all) head.all[name] = joined(head.all[name] ?? '', value);
}

const joined = (before: string, value: string): string => (before === '' ? value : `${before}, ${value}`);

const BODILESS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS']);

/** Two lengths, or one that is hidden, let a proxy and us see two different requests. Says what is wrong. */
export function framingFault(head: Head): string | undefined {
  if (head.content_length !== '' && !/^\d{1,15}$/.test(head.content_length)) {
    return 'Content-Length is not one number.';
  }
  if (head.transfer_encoding !== '' && head.transfer_encoding.toLowerCase() !== 'chunked') {
    return 'Transfer-Encoding can only be chunked.';
  }
  if (head.content_length !== '' && head.transfer_encoding !== '') {
    return 'Content-Length and Transfer-Encoding exclude each other.';
  }
  // Nobody needs it, and an answer that ends its connection is not sent as slowly as it is taken.
  if (head.transfer_encoding !== '' && BODILESS.has(head.method)) return 'This method has no body in chunks.';
  if (head.host.includes(',')) return 'There is more than one Host.';
  return undefined;
}

const REQUEST_ID = /^[A-Za-z0-9._-]{8,64}$/;

/** Ids that no other process gives: a random start and a count. */
export function createRequestIds(start: string): (offered: string) => string {
  let count = 0;
  return (offered) => {
    // It is logged and told again: not a card number that somebody took for a good id.
    if (offered !== '' && REQUEST_ID.test(offered) && !holdsCardNumber(offered)) return offered;
    count += 1;
    return `${start}-${count.toString(36)}`;
  };
}

/** The value of a query parameter, or undefined. */
export function queryValue(head: Head, name: string): string | undefined {
  return head.query === '' ? undefined : (new URLSearchParams(head.query).get(name) ?? undefined);
}
