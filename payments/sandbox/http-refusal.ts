/** Thrown by a wire for a request that is not what it takes; the server answers in that wire's words. */
export class HttpRefusal extends Error {
  readonly http_status: number;
  readonly code: string;
  constructor(http_status: number, code: string) {
    super(code);
    this.http_status = http_status;
    this.code = code;
  }
}
