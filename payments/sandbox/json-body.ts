/** JSON that callers send. */
import { HttpRefusal } from './http-refusal.ts';

/** The object in a body; an empty body is an empty one. */
export function jsonObject(text: string): Record<string, unknown> {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch {}
  throw new HttpRefusal(400, 'invalid_json');
}

export function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
