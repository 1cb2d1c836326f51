import { beforeAll, describe, expect, test } from 'vitest';
import { explore, modelTools, type Tools } from './spin.ts';
import { HOLDS, REFUTED } from './suite.ts';

let tools: Tools;
beforeAll(async () => {
  tools = await modelTools(() => {});
});

describe('in every order of events', () => {
  test.for(HOLDS.filter(({ ci }) => ci))('$id: $says', async ({ define }) => {
    const { violation, states } = await explore(tools, define);
    expect(violation).toBeUndefined();
    expect(states).toBeGreaterThan(1000);
  });
});

describe('without its mitigation it is refuted, and the trail says how', () => {
  test.for(REFUTED)('$id: $says', async ({ define }) => {
    const { violation } = await explore(tools, define, 'briefly');
    expect(violation?.assertion).toContain('assert(');
    expect(violation?.trail.some((line) => line.startsWith('buyer'))).toBe(true);
  });
});
