/** What the HTTP server needs of a way in. Everything else about routes is in route.ts. */
import type { Caller } from './access/caller.ts';
import type { Refusal, Reply } from './reply.ts';
import type { Head } from './request.ts';

/** A refusal may be sent later than now. */
export type Admitted = { refusal: Refusal | Promise<Refusal> } | { caller: Caller };

/** POST and PATCH carry a body. */
export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

export type Endpoint = {
  method: Method;
  /** As in OpenAPI: /v1/orders/{id}. */
  path: string;
  /** Wants Head.all. */
  all_headers: boolean;
  /** Sees the head before anything of the body is kept. A refusal ends the request. */
  admit(head: Head): Admitted | Promise<Admitted>;
  /** `body` is undefined for GET and DELETE. What it throws becomes a 500. */
  answer(head: Head, caller: Caller, body: Buffer | undefined): Reply | Promise<Reply>;
  /** Told of each answer; `seconds` since the head was read. */
  observe(status: number, seconds: number): void;
};

/** A path that becomes a WebSocket. What comes in over it is ignored. */
export type LiveEndpoint = {
  path: string;
  admit(head: Head): Promise<{ refusal: Refusal | Promise<Refusal> } | { topic: string }>;
  /** A socket listens to the topic from now on. Returns its first message, if there is one. */
  joined(topic: string): string | undefined;
  left(topic: string): void;
};
