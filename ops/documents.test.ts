/** The documents against what they speak of: variables, alerts, links. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parse } from 'yaml';

const project = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(project + path, 'utf8');

const documents = [
  ...['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
  ...['docs', 'docs/decisions'].flatMap((folder) =>
    readdirSync(project + folder)
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];

it('the README lists every variable of the configuration, and no other', () => {
  const known = [
    ...read('platform/config.ts').matchAll(/(?:env, '|env\.)([A-Z_]+)/g),
    ...read('platform/config-providers.ts').matchAll(/(?:'|env\.)([A-Z]+(?:_[A-Z]+)+|PSP)\b/g),
  ].map((match) => match[1]);
  const table = read('README.md').match(/## Configuration[\s\S]*?\n## /)?.[0] ?? '';
  const listed = [...table.matchAll(/^\|(.*?)\|/gm)].flatMap((row) =>
    [...(row[1] as string).matchAll(/`([A-Z_]+)`/g)].map((match) => match[1]),
  );
  expect([...new Set(listed)].sort()).toEqual([...new Set(known)].sort());
});

it('every alert says in docs/operations.md what to do', () => {
  const rules = parse(read('ops/prometheus/alerts.yml')) as { groups: { rules: { alert?: string }[] }[] };
  const alerts = rules.groups.flatMap((group) => group.rules.flatMap(({ alert }) => alert ?? []));
  const headings = [...read('docs/operations.md').matchAll(/^### (\w+)$/gm)].map((match) => match[1]);
  expect(headings.sort()).toEqual(alerts.sort());
});

it('every reason to fence a sale stands in docs/operations.md', () => {
  const reasons = [...read('reconciler/fence-reasons.ts').matchAll(/^ {2}'(\w+)',$/gm)].map(
    (match) => match[1],
  );
  expect(reasons.length).toBeGreaterThan(5);
  const text = read('docs/operations.md');
  expect(reasons.filter((reason) => !text.includes(`\`${reason}\``))).toEqual([]);
});

it.each(documents)('%s links to what is there', (document) => {
  const broken = [...read(document).matchAll(/(?:\]\(|srcset="|src=")([^)"\s]+)/g)]
    .map((match) => match[1] as string)
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = '', anchor] = link.split('#');
      const target = path === '' ? document : posix.normalize(posix.join(posix.dirname(document), path));
      if (!existsSync(project + target)) return true;
      return anchor !== undefined && !anchorsIn(read(target)).includes(anchor);
    });
  expect(broken).toEqual([]);
});

/** As GitHub makes them of headings. */
function anchorsIn(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gm)].map((match) =>
    (match[1] as string)
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
}
