import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { prometheusTools } from '../../test/support/promtool.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));

describe("what Prometheus reads, in Prometheus's own eyes", () => {
  const tools = prometheusTools();

  it.runIf(tools).each([
    ['the configuration', ['check', 'config', 'prometheus.yml']],
    ['the rules', ['check', 'rules', 'alerts.yml']],
    ['the tests of the rules', ['test', 'rules', 'alerts.test.yml']],
  ])(
    '%s',
    (_, args) => {
      const { status, stdout, stderr } = spawnSync(tools?.promtool ?? '', args, {
        cwd: folder,
        encoding: 'utf8',
      });
      expect({ status, said: `${stdout}${stderr}` }).toMatchObject({ status: 0 });
    },
    180_000,
  );
});
