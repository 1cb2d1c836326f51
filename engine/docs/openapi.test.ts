import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { OUTCOME_CODES } from '../../domain/outcomes.ts';
import { startTestEngine, type TestEngine } from '../../test/support/engine.ts';
import { EXAMPLES } from './examples.ts';
import { OPERATIONS } from './operations.ts';

let t: TestEngine;
// biome-ignore lint/suspicious/noExplicitAny: a document of every shape
let document: any;
beforeAll(async () => {
  t = await startTestEngine({ env: { DEMO_SALE: 'demo' } });
  document = (await t.call('GET', '/openapi.json')).body;
});
afterAll(() => t.stop());

describe('/openapi.json', () => {
  it('has every route of the table, and no other', () => {
    const told = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods as object).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(told.sort()).toEqual(t.engine.routes.map(({ method, path }) => `${method} ${path}`).sort());
    expect(Object.keys(OPERATIONS).sort()).toEqual(t.engine.routes.map((route) => route.id).sort());
  });

  it('has every code of the catalogue somewhere', () => {
    const text = JSON.stringify(document.paths);
    const never = OUTCOME_CODES.filter((code) => !text.includes(`"code":"${code}"`));
    // Answered where there is no route for the method.
    expect(never).toEqual(['method_not_allowed']);
  });

  it('points to nothing that is not there', () => {
    for (const [, pointer] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = pointer.split('/').reduce((at, part) => at?.[part], document);
      expect([pointer, typeof found]).toEqual([pointer, 'object']);
    }
  });

  it('is complete where OpenAPI wants it: ids, parameters of each path, descriptions of each answer', () => {
    const ids = new Set<string>();
    for (const [path, methods] of Object.entries(document.paths)) {
      // biome-ignore lint/suspicious/noExplicitAny: as above
      for (const operation of Object.values(methods as Record<string, any>)) {
        expect(ids.has(operation.operationId)).toBe(false);
        ids.add(operation.operationId);
        const named = operation.parameters
          .filter((p: { in: string }) => p.in === 'path')
          .map((p: { name: string }) => `{${p.name}}`);
        expect(path.match(/\{\w+\}/g) ?? []).toEqual(named);
        expect(document.tags.map((tag: { name: string }) => tag.name)).toContain(operation.tags[0]);
        // biome-ignore lint/suspicious/noExplicitAny: as above
        for (const response of Object.values(operation.responses as Record<string, any>)) {
          expect(response.description).toBeTruthy();
        }
      }
    }
    expect(document.openapi).toMatch(/^3\.1\./);
  });

  it('its schemas are schemas, and its examples fit them', () => {
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema({ $id: 'api', components: document.components });
    for (const name of Object.keys(document.components.schemas)) {
      const check = ajv.compile({ $ref: `api#/components/schemas/${name}` });
      if (name in EXAMPLES) expect([name, check(EXAMPLES[name]), check.errors]).toEqual([name, true, null]);
    }
    for (const name of Object.keys(EXAMPLES))
      expect(Object.keys(document.components.schemas)).toContain(name);
  });

  it('is asked for again for nothing', async () => {
    const { headers } = await t.call('GET', '/openapi.json');
    const again = await fetch(`${t.url}/openapi.json`, {
      headers: { 'if-none-match': headers.get('etag') ?? '' },
    });
    expect([again.status, await again.text()]).toEqual([304, '']);
  });
});

describe('/docs', () => {
  it('works offline: the page and everything it names come from here', async () => {
    const page = await t.call('GET', '/docs');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
    const parts = [...page.text.matchAll(/(?:src|href)="(\/docs\/[^"]+)"/g)].map(([, path]) => path);
    expect(parts.length).toBeGreaterThanOrEqual(4);
    for (const path of parts) expect([path, (await fetch(t.url + path)).status]).toEqual([path, 200]);
    expect(page.text).not.toMatch(/(?:src|href)="https?:/);
  });

  it('explains every problem at the place its type names', async () => {
    const { text } = await t.call('GET', '/docs/problems');
    for (const code of OUTCOME_CODES) expect(text).toContain(`id="${code}"`);
  });
});
