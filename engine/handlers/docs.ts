/** GET /openapi.json, /docs, /docs/problems. */
import { openApiDocument } from '../docs/openapi.ts';
import { DOCS_POLICY, docsFiles } from '../docs/pages.ts';
import { JSON_TYPE } from '../reply.ts';
import type { Handler, Route } from '../route.ts';
import { answerFile, type StaticFile, type StaticFiles, staticFile } from '../static-files.ts';

/** `routes` is asked when the document is read first: it holds these handlers themselves. */
export function docsHandlers(routes: () => readonly Route[]) {
  const files: StaticFiles = docsFiles();
  let document: StaticFile | undefined;

  const openapi: Handler = ({ head }) => {
    document ??= staticFile(Buffer.from(JSON.stringify(openApiDocument(routes()))), JSON_TYPE);
    return answerFile(document, head, DOCS_POLICY);
  };

  /** A file of ours that is there for certain. */
  const file = (path: string): Handler => {
    const known = files.get(path);
    if (!known) throw new Error(`no file ${path}`);
    return ({ head }) => answerFile(known, head, DOCS_POLICY);
  };

  return { openapi, docs: file('/docs'), problems: file('/docs/problems'), files };
}
