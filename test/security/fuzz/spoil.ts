/** A body that was fine, with a fault or two. */
import type { Json } from './document.ts';
import type { Draw } from './draw.ts';
import { FOREIGN_FIELDS, hostile } from './hostile.ts';

type Place = { holder: { [name: string]: Json } | Json[]; key: string | number };

/** Every member and element, at any depth. */
function places(value: Json): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const holder = value as { [name: string]: Json };
  const keys = Array.isArray(value) ? value.map((_, i) => i) : Object.keys(value);
  return keys.flatMap((key) => [{ holder, key }, ...places(holder[key])]);
}

export function spoil(body: Json, draw: Draw): Json {
  const root: { body: Json } = { body: structuredClone(body) };
  const faults = 1 + draw.below(3);
  for (let i = 0; i < faults; i++) {
    const { holder, key } = draw.of(places(root));
    const at = holder as { [name: string]: Json };
    draw.weighted<() => void>([
      [5, () => put(at, key, hostile(draw))],
      [3, () => addField(at[key], draw)],
      [2, () => (holder === root ? put(at, key, {}) : remove(holder, key))],
      [1, () => put(at, key, wrapped(at[key], draw))],
      [
        0.5,
        () =>
          put(
            at,
            key,
            Array.from({ length: 60 }, () => at[key]),
          ),
      ],
    ])();
  }
  return root.body;
}

function put(holder: { [name: string]: Json }, key: string | number, value: Json): void {
  holder[key] = value;
}

/** Also `__proto__`, as JSON.parse would make it. */
function addField(holder: Json, draw: Draw): void {
  if (typeof holder !== 'object' || holder === null || Array.isArray(holder)) return;
  const field = { value: hostile(draw), enumerable: true, configurable: true, writable: true };
  Object.defineProperty(holder, draw.of(FOREIGN_FIELDS), field);
}

function remove(holder: Place['holder'], key: string | number): void {
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
}

const wrapped = (value: Json, draw: Draw): Json =>
  draw.of<Json>([[value], { value }, JSON.stringify(value) ?? '', [value, value]]);
