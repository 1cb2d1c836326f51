/**
 * Imports run one way and never in a circle (docs: ARCHITECTURE, "Folders"). Prints every breach and
 * exits 1 if there is one. Type imports count for the direction, and not for circles: they are gone at run time.
 *
 * Usage: node scripts/check-imports.mjs [folder]
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const STORES = ['domain', 'lua', 'ledger', 'platform'];

/** room -> the rooms it may import from (besides itself). A room is a folder; tests and what helps them are a room of their own. */
const MAY_IMPORT = {
  domain: [],
  lua: STORES,
  ledger: STORES,
  platform: STORES,
  payments: STORES,
  engine: [...STORES, 'payments'],
  reconciler: [...STORES, 'payments'],
  web: ['domain'],
  // The local stack composes the others.
  'platform/local': STORES,
  bench: [...STORES, 'payments', 'engine', 'reconciler', 'platform/local', 'test'],
  test: [
    ...[...STORES, 'payments', 'engine', 'reconciler', 'platform/local', 'web', 'bench', 'scripts'],
    ...['test/chaos/checker', 'verify'],
  ],
  // Judges the others, and shares no code with them.
  'test/chaos/checker': [],
  // Checks what the others claim, and shares no code with them.
  verify: [],
  scripts: [],
};

const IMPORT =
  /^\s*(?:import|export)\s+(type\s)?(?:[^'";]*?\sfrom\s+)?['"](\.[^'"]+)['"]|\bimport\(\s*['"](\.[^'"]+)['"]\s*\)/gm;

export function roomOf(file) {
  if (/\.test\.ts$|\/testing\//.test(file)) return 'test';
  const apart = ['platform/local', 'test/chaos/checker'].find((room) => file.startsWith(`${room}/`));
  return apart ?? file.split('/')[0];
}

/** @returns {{from: string, to: string, type: boolean}[]} */
function importsIn(project, file) {
  const text = readFileSync(join(project, file), 'utf8');
  return [...text.matchAll(IMPORT)].map((match) => ({
    from: file,
    to: posix.join(posix.dirname(file), match[2] ?? match[3]),
    type: match[1] !== undefined,
  }));
}

function sourcesIn(project, folder) {
  if (!existsSync(join(project, folder))) return [];
  return readdirSync(join(project, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return sourcesIn(project, path);
    return /\.(ts|mjs|js)$/.test(entry.name) ? [path] : [];
  });
}

/** @returns {string[]} one line a breach */
export function breaches(project) {
  const files = Object.keys(MAY_IMPORT)
    .filter((room) => !room.includes('/'))
    .flatMap((room) => sourcesIn(project, room));
  const imports = files.flatMap((file) => importsIn(project, file));
  return [...wrongDirections(imports), ...circles(files, imports)];
}

function wrongDirections(imports) {
  return imports
    .filter(({ from, to }) => {
      const [room, other] = [roomOf(from), roomOf(to)];
      return room !== other && !MAY_IMPORT[room]?.includes(other);
    })
    .map(({ from, to }) => `${from} imports ${to}: ${roomOf(from)} may not import from ${roomOf(to)}`);
}

/** Depth first; a file met again on the way down closes a circle. */
function circles(files, imports) {
  const next = new Map(files.map((file) => [file, []]));
  for (const { from, to, type } of imports) if (!type && next.has(to)) next.get(from).push(to);
  const found = [];
  const done = new Set();
  const visit = (file, way) => {
    const at = way.indexOf(file);
    if (at >= 0) found.push(`circle: ${[...way.slice(at), file].join(' -> ')}`);
    if (at >= 0 || done.has(file)) return;
    for (const other of next.get(file)) visit(other, [...way, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  return found;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lines = breaches(process.argv[2] ?? dirname(dirname(fileURLToPath(import.meta.url))));
  for (const line of lines) console.error(line);
  process.exitCode = lines.length > 0 ? 1 : 0;
}
