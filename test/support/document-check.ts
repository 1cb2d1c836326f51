/** Holds real answers against the API document: the status is listed, headers are there, the body fits its schema. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import { openApiDocument } from '../../engine/docs/openapi.ts';
import type { Route } from '../../engine/route.ts';

type Document = {
  paths: Record<string, Record<string, { responses: Record<string, Response> }>>;
  components: { schemas: Record<string, object> };
};
type Response = { content?: Record<string, { schema: object }> };

export type DocumentCheck = (
  method: string,
  path: string,
  answer: { status: number; headers: Headers; body: unknown },
) => void;

/** The check throws where an answer is not as documented. Paths that the document does not have are passed over. */
export function createDocumentCheck(routes: readonly Route[]): DocumentCheck {
  const document = openApiDocument(routes) as unknown as Document;
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  ajv.addSchema({ $id: 'api', components: document.components });
  const checks = new Map<string, ReturnType<typeof ajv.compile>>();

  function fits(schema: object, body: unknown): string | undefined {
    const text = JSON.stringify(schema).replaceAll('"#/components', '"api#/components');
    let check = checks.get(text);
    if (!check) {
      check = ajv.compile(JSON.parse(text));
      checks.set(text, check);
    }
    return check(body) ? undefined : ajv.errorsText(check.errors);
  }

  function responsesOf(method: string, path: string): Record<string, Response> | undefined {
    const bare = path.split('?')[0];
    const found = Object.keys(document.paths).find((template) =>
      new RegExp(`^${template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(bare),
    );
    return found === undefined ? undefined : document.paths[found][method.toLowerCase()]?.responses;
  }

  return (method, path, { status, headers, body }) => {
    const wrong = (what: string) =>
      new Error(`${method} ${path} -> ${status}: ${what}\n${JSON.stringify(body).slice(0, 500)}`);
    if (!headers.get('request-id')) throw wrong('no Request-Id');
    const responses = responsesOf(method, path);
    if (!responses || status === 405) return;
    const documented = responses[String(status)];
    if (!documented) throw wrong('a status that is not documented');
    if (!documented.content) return;
    const type = (headers.get('content-type') ?? '').split(';')[0];
    const media = documented.content[type];
    if (!media) throw wrong(`a content type that is not documented: ${type}`);
    if (!type.endsWith('json')) return;
    const fault = fits(media.schema, body);
    if (fault) throw wrong(fault);
    const code = (body as { code?: string }).code;
    const examples = (media as { examples?: Record<string, unknown> }).examples;
    if (code && examples && !(code in examples)) throw wrong(`a code that is not documented: ${code}`);
  };
}
