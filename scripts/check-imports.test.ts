import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const script = fileURLToPath(new URL('./check-imports.mjs', import.meta.url));

function check(files: Record<string, string>): { status: number | null; lines: string[] } {
  const project = mkdtempSync(join(tmpdir(), 'stampede-imports-'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project, name)), { recursive: true });
    writeFileSync(join(project, name), text);
  }
  const { status, stderr } = spawnSync(process.execPath, [script, project], { encoding: 'utf8' });
  rmSync(project, { recursive: true });
  return { status, lines: stderr.trim().split('\n').filter(Boolean) };
}

test('the imports of this project run one way and in no circle', () => {
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});

test('an import against the direction is named', () => {
  const files = {
    'domain/a.ts': "import { b } from '../lua/b.ts';\n",
    'lua/b.ts': 'export const b = 1;\n',
    'engine/c.ts': "import type { D } from '../reconciler/d.ts';\n",
    'reconciler/d.ts': "import {\n  a,\n} from '../domain/a.ts';\nexport type D = 1;\n",
  };
  expect(check(files)).toEqual({
    status: 1,
    lines: [
      'domain/a.ts imports lua/b.ts: domain may not import from lua',
      'engine/c.ts imports reconciler/d.ts: engine may not import from reconciler',
    ],
  });
});

test('a circle is named, one of types alone is none', () => {
  const files = {
    'lua/a.ts': "import { b } from './b.ts';\n",
    'lua/b.ts': "export * from './c.ts';\n",
    'lua/c.ts': "const a = await import('./a.ts');\n",
    'lua/d.ts': "import type { E } from './e.ts';\n",
    'lua/e.ts': "import type { D } from './d.ts';\n",
  };
  expect(check(files)).toEqual({
    status: 1,
    lines: ['circle: lua/a.ts -> lua/b.ts -> lua/c.ts -> lua/a.ts'],
  });
});

test('tests may import from everywhere, and nothing may import from tests', () => {
  const files = {
    'lua/a.test.ts': "import '../engine/b.ts';\nimport '../test/support/c.ts';\n",
    'engine/b.ts': "import '../test/support/c.ts';\n",
    'test/support/c.ts': '',
  };
  expect(check(files).lines).toEqual([
    'engine/b.ts imports test/support/c.ts: engine may not import from test',
  ]);
});

test('who judges chaos runs imports nothing of what it judges', () => {
  const files = {
    'test/chaos/checker/judge.ts':
      "import '../../../domain/a.ts';\nimport '../history.ts';\nimport './rule.ts';\n",
    'test/chaos/checker/rule.ts': '',
    'test/chaos/history.ts': "import './checker/rule.ts';\n",
    'domain/a.ts': '',
  };
  expect(check(files).lines).toEqual([
    'test/chaos/checker/judge.ts imports domain/a.ts: test/chaos/checker may not import from domain',
    'test/chaos/checker/judge.ts imports test/chaos/history.ts: test/chaos/checker may not import from test',
  ]);
});
