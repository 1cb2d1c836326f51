/** What is wrong, by check. Only the first of each are kept word for word; all are counted. */

export const CHECKS = {
  format: 'the file is whole and its lines are what they should be',
  signature: 'the signature is of these bytes and by that key',
  chain: 'every event of the history is in its place, and none was changed',
  totals: 'the totals are what the history adds up to',
  conservation: 'available = total - reserved - sold - what is on its way back, for every SKU',
  stock: 'units came into the sale and went out of it only as operators asked for it',
  orders: 'amounts add up, and every order went only where an order may go',
  returns: 'units went back exactly once where an order ended, and never otherwise',
  limits: 'no buyer ever had more than the limit',
  gate: 'nothing was reserved while the gate was closed',
  money: 'goods are paid for once, and money without goods went back',
  final: 'nothing can still come that changes the totals',
  ledger: 'the ledger says the same today, and its own books agree',
} as const;

export type Check = keyof typeof CHECKS;
export type Finding = { check: Check; message: string; line?: number };

const KEPT_MAX = 10;

export type Findings = {
  add(check: Check, message: string, line?: number): void;
  kept: Finding[];
  counts: Map<Check, number>;
};

export function createFindings(): Findings {
  const counts = new Map<Check, number>();
  const kept: Finding[] = [];
  return {
    kept,
    counts,
    add(check, message, line) {
      const count = (counts.get(check) ?? 0) + 1;
      counts.set(check, count);
      if (count <= KEPT_MAX) kept.push({ check, message, line });
    },
  };
}
