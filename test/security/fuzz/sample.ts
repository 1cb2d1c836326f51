/** Values that fit a schema: what somebody sends who reads the document and means well. */
import type { Json, Schema } from './document.ts';
import type { Draw } from './draw.ts';

/** Values that exist, by the name of the member or parameter that wants one. */
export type Known = (name: string, draw: Draw) => Json | undefined;

export function sample(schema: Schema, draw: Draw, known: Known, name = ''): Json {
  const found = known(name, draw);
  if (found !== undefined) return found;
  if (schema.enum) return draw.of(schema.enum);
  switch (schema.type) {
    case 'object':
      return sampleObject(schema, draw, known);
    case 'array': {
      const { minItems = 0, maxItems = 3, items = {} } = schema;
      const count = Math.max(minItems, draw.below(Math.min(maxItems, 3) + 1));
      return Array.from({ length: count }, () => sample(items, draw, known, `${name}[]`));
    }
    case 'integer':
    case 'number': {
      const { minimum = 0, maximum = 1_000 } = schema;
      if (draw.chance(0.05)) return draw.of([minimum, maximum]);
      return minimum + draw.below(Math.min(maximum - minimum, 20) + 1);
    }
    case 'boolean':
      return draw.chance(0.5);
    default:
      return sampleText(schema, draw);
  }
}

function sampleObject(schema: Schema, draw: Draw, known: Known): Json {
  const { properties = {}, required = [], minProperties = 0 } = schema;
  const made: { [name: string]: Json } = {};
  const names = Object.keys(properties);
  for (const member of names) {
    if (properties[member]['x-refused']) continue;
    if (!required.includes(member) && draw.chance(0.5)) continue;
    made[member] = sample(properties[member], draw, known, member);
  }
  for (const member of names) {
    if (Object.keys(made).length >= minProperties) break;
    made[member] ??= sample(properties[member], draw, known, member);
  }
  return made;
}

function sampleText({ pattern = '', format, minLength = 1, maxLength = 40 }: Schema, draw: Draw): string {
  if (format === 'date-time') return new Date(1_750_000_000_000 + draw.below(1e11)).toISOString();
  if (pattern.includes('@')) return `${draw.text(8)}@example.com`;
  if (pattern.startsWith('^\\+')) return `+${draw.of(['62', '49', '91'])}${draw.text(9, '123456789')}`;
  if (pattern === '^[A-Z]{3}$') return draw.of(['USD', 'EUR', 'IDR', 'JPY']);
  if (pattern.startsWith('^(?:[1-9]')) return String(1 + draw.below(100));
  if (pattern === '')
    return draw.of(['Ada Lovelace', 'Jl. Sudirman 1', 'München', '東京', "O'Brien", 'a']).slice(0, maxLength);
  const length = Math.max(minLength, 1 + draw.below(Math.min(maxLength, 24)));
  return draw.text(length);
}
