/** The providers of a deployment. An attempt keeps the one it was begun with, whatever is chosen later. */
import { createSandboxPsp, type SandboxSettings } from './adapters/sandbox.ts';
import type { Psp } from './port.ts';

export type Providers = {
  /** Where new attempts go. */
  chosen: Psp;
  byName(name: string): Psp | undefined;
  close(): void;
};

export type ProviderConfig = {
  /** Config `PSP`. */
  psp: 'sandbox';
  psp_sandbox_url: string;
  psp_sandbox_secret: string;
};

export function createProviders(config: ProviderConfig, settings: Partial<SandboxSettings> = {}): Providers {
  const sandbox = createSandboxPsp({
    url: config.psp_sandbox_url,
    secret: config.psp_sandbox_secret,
    ...settings,
  });
  const all = new Map<string, Psp>([[sandbox.name, sandbox]]);
  const chosen = all.get(config.psp);
  if (!chosen) throw new Error(`no payment provider ${config.psp}`);
  return {
    chosen,
    byName: (name) => all.get(name),
    close: () => {
      for (const psp of all.values()) psp.close();
    },
  };
}
