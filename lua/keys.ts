/**
 * The only builder of Redis keys. Every key of a sale carries the hash tag `{tenant:sale}`, so all of
 * them lie in one slot of a cluster. Tenant and sale ids have no colon or brace (NAME_PATTERN).
 */

/** Where a sale lies in Redis. The generation is raised by a rebuild alone. */
export type SalePlace = { tenant: string; sale: string; generation: number };

export type SaleKeys = {
  record: string;
  available: string;
  held: string;
  catalog: string;
  buyers: string;
  stream: string;
  /** There while a rebuild writes this generation. */
  marker: string;
};

export function saleKeys(place: SalePlace): SaleKeys {
  const tag = `st:{${place.tenant}:${place.sale}}`;
  const generation = `${tag}:g${place.generation}`;
  return {
    record: `${tag}:record`,
    available: `${generation}:available`,
    held: `${generation}:held`,
    catalog: `${generation}:catalog`,
    buyers: `${generation}:buyers`,
    stream: `${generation}:stream`,
    marker: `${generation}:marker`,
  };
}

/** The hash that holds the reservation records first written on one day (days since 1970, Redis clock). */
export function bucketKey(place: SalePlace, day: number): string {
  return `st:{${place.tenant}:${place.sale}}:g${place.generation}:r${day}`;
}

/** Directory of routes: which sale an order id belongs to. Not in the sale's slot; a single-key read. */
export function routeKey(route: Buffer): string {
  return `st:route:${route.toString('hex')}`;
}
