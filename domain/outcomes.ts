/**
 * Every way in which a request can be refused: ONE catalogue. `retryable` says whether the same request may
 * succeed later with nothing else done; a 5xx is always safe to retry with the same Idempotency-Key.
 */

export type OutcomeRule = {
  status: number;
  title: string;
  retryable: boolean;
  /** Default of the Retry-After header, seconds. */
  retry_after_seconds?: number;
};

export const OUTCOMES = {
  invalid_request: { status: 400, title: 'The request is not valid', retryable: false },
  idempotency_key_missing: {
    status: 400,
    title: 'The Idempotency-Key header is missing',
    retryable: false,
  },
  idempotency_key_invalid: {
    status: 400,
    title: 'The Idempotency-Key header is not valid',
    retryable: false,
  },
  unauthorized: { status: 401, title: 'A valid token is needed', retryable: false },
  forbidden: { status: 403, title: 'The role of this token is not enough', retryable: false },
  sale_not_open: { status: 403, title: 'The sale has not opened yet', retryable: true },
  sale_closed: { status: 403, title: 'The sale is closed', retryable: false },
  not_found: { status: 404, title: 'Not found', retryable: false },
  method_not_allowed: { status: 405, title: 'This path does not have this method', retryable: false },
  sold_out: { status: 409, title: 'Sold out', retryable: false },
  temporarily_held: {
    status: 409,
    title: 'All units are held by other buyers',
    retryable: true,
    retry_after_seconds: 5,
  },
  invalid_state: { status: 409, title: 'The state does not allow this', retryable: false },
  sale_exists: { status: 409, title: 'A sale with this id exists', retryable: false },
  reservation_expired: { status: 410, title: 'The reservation is over', retryable: false },
  payload_too_large: { status: 413, title: 'The body is too large', retryable: false },
  unsupported_media_type: { status: 415, title: 'The body must be JSON', retryable: false },
  purchase_limit_reached: { status: 422, title: 'The purchase limit is reached', retryable: false },
  idempotency_key_reused: {
    status: 422,
    title: 'This Idempotency-Key belongs to another request',
    retryable: false,
  },
  unknown_sku: { status: 422, title: 'The sale does not have this SKU', retryable: false },
  rate_limited: { status: 429, title: 'Too many requests', retryable: true, retry_after_seconds: 1 },
  internal_error: { status: 500, title: 'Something went wrong on our side', retryable: true },
  sale_paused: { status: 503, title: 'The sale is paused', retryable: true, retry_after_seconds: 5 },
  sale_recovering: {
    status: 503,
    title: 'The sale is being checked after a disturbance',
    retryable: true,
    retry_after_seconds: 1,
  },
  unavailable: {
    status: 503,
    title: 'The service is not available for the moment',
    retryable: true,
    retry_after_seconds: 1,
  },
  overloaded: {
    status: 503,
    title: 'Too much to do for the moment',
    retryable: true,
    retry_after_seconds: 1,
  },
} as const satisfies Record<string, OutcomeRule>;

export type OutcomeCode = keyof typeof OUTCOMES;

export const OUTCOME_CODES = Object.keys(OUTCOMES) as readonly OutcomeCode[];

/** The catalogue's row, with its optional columns. */
export function outcomeRule(code: OutcomeCode): OutcomeRule {
  return OUTCOMES[code];
}
