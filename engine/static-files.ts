/** Files of a page, read and compressed once at start: answered from memory, with an ETag over their content. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Answer } from './reply.ts';
import { type Head, queryValue } from './request.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.map': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
};

/** By path from `/`. */
export type StaticFiles = ReadonlyMap<string, StaticFile>;
/** `gzip` where that is smaller. */
export type StaticFile = { bytes: Buffer; gzip: Buffer | undefined; content_type: string; etag: string };

/** Everything in `folder` of a type that pages are made of; `index.html` also under its folder's own path. */
export function readStaticFiles(folder: string): StaticFiles {
  const files = new Map<string, StaticFile>();
  if (existsSync(folder)) readInto(files, folder, '/');
  return files;
}

export function staticFile(bytes: Buffer, content_type: string): StaticFile {
  const digest = createHash('sha256').update(bytes).digest('base64url');
  // Fonts and pictures are compressed already.
  const packed = /^(text|application)\/|svg/.test(content_type) ? gzipSync(bytes, { level: 9 }) : bytes;
  const gzip = packed.length < bytes.length ? packed : undefined;
  return { bytes, gzip, content_type, etag: `"${digest.slice(0, 27)}"` };
}

function readInto(files: Map<string, StaticFile>, folder: string, path: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const below = join(folder, entry.name);
    if (entry.isDirectory()) {
      readInto(files, below, `${path}${entry.name}/`);
      continue;
    }
    const content_type = TYPES[extname(entry.name)];
    if (!content_type || !entry.isFile()) continue;
    const file = staticFile(readFileSync(below), content_type);
    files.set(path + entry.name, file);
    if (entry.name === 'index.html') files.set(path, file);
  }
}

/**
 * 200, or 304 where the client has it already. Browsers ask every time: a page and its parts must be of one version.
 * `policy` is the Content-Security-Policy.
 */
export function answerFile(file: StaticFile, head: Head, policy: string): Answer {
  const packed = file.gzip && GZIP.test(head.accept_encoding) ? file.gzip : undefined;
  // Another encoding is another representation, and has a tag of its own.
  const etag = packed ? file.etag.replace(/"$/, '-gzip"') : file.etag;
  const headers = [
    ...['ETag', etag, 'Cache-Control', 'no-cache', 'Vary', 'Accept-Encoding'],
    ...['Content-Security-Policy', policy],
    ...['X-Content-Type-Options', 'nosniff', 'Referrer-Policy', 'no-referrer'],
  ];
  const known = head.if_none_match.split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
  if (known) return { status: 304, body: '', content_type: '', headers };
  if (packed) headers.push('Content-Encoding', 'gzip');
  return { status: 200, body: packed ?? file.bytes, content_type: file.content_type, headers };
}

/** Taken, unless it is named with a weight of 0. */
const GZIP = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/i;

/**
 * A bank's or a wallet's page may lead its buyer back with a form (Razorpay, Midtrans' 3-D Secure). What the form says is
 * not read: the page asks for the order, and the provider says how it was paid.
 */
export function ledBack(head: Head): Answer {
  const order = queryValue(head, 'order');
  const location = order === undefined ? '/' : `/?order=${encodeURIComponent(order)}`;
  return {
    status: 303,
    body: '',
    content_type: '',
    headers: ['Location', location, 'Cache-Control', 'no-store'],
  };
}

/** Nothing but our own files; data: images are drawn in styles. */
export const PAGE_POLICY =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
