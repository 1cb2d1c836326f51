import { afterAll, beforeAll, expect, test } from 'vitest';
import { BUGS, QUICK } from './bugs.ts';
import { LAYERS, runLayer } from './layers.ts';
import { copyTree, type Tree } from './tree.ts';

let tree: Tree;
beforeAll(() => {
  tree = copyTree();
});
afterAll(() => tree.remove());

const [tests] = LAYERS;

test.for(QUICK)('%s, planted in a copy of the tree, is caught by the tests beside the code', async (id) => {
  const bug = BUGS.find((one) => one.id === id);
  if (!bug) throw new Error(`no bug ${id}`);
  const unplant = tree.plant(bug.id, bug);
  try {
    const found = await runLayer(tests, { ...bug, tests: bug.tests.slice(0, 1) }, tree.folder);
    expect(found?.verdict, found?.said).toBe('caught');
    expect(found?.said).toContain('AssertionError');
  } finally {
    unplant();
  }
});
