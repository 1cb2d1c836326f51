/** The query of a request, held against a schema as bodies are: nothing unknown, nothing twice. */
import type { Refusal } from './reply.ts';
import type { Head } from './request.ts';
import { invalid } from './route.ts';
import { type BodySchema, compile } from './schemas/validate.ts';

/** `schema`: of an object whose values are text. */
export function createQueryReader<Q>(schema: BodySchema<Q>): (head: Head) => { query: Q } | Refusal {
  const validate = compile(schema);
  return (head) => {
    const given = [...new URLSearchParams(head.query)];
    const query = Object.fromEntries(given);
    const twice = given.find(([name], i) => given.findIndex(([other]) => other === name) < i);
    if (twice) return invalid([{ path: '', message: 'must not name a parameter twice' }]);
    const result = validate(query);
    return 'faults' in result ? invalid(result.faults) : { query: result.value };
  };
}
