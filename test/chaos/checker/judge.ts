/**
 * The judge. Shares no code with what it judges (scripts/check-imports.mjs): it knows the clients' history, the provider's
 * record as a file, and the ledger's tables, and holds them against each other.
 */
import {
  type Evidence,
  type Finding,
  gather,
  type LedgerRows,
  type Payment,
  type Violation,
} from './evidence.ts';
import type { Line } from './lines.ts';
import {
  acknowledgedIsThere,
  answersAreSane,
  gatesHold,
  noOrderUnasked,
  oneEffectAKey,
} from './rules-answers.ts';
import { drained, noSurprises } from './rules-end.ts';
import { moneyIsRight, refundsWereAsked } from './rules-money.ts';
import {
  booksAgree,
  eachUnitBackOnce,
  limitsHold,
  neverOversold,
  totalsAreTheOperators,
} from './rules-stock.ts';

export const RULES: Readonly<Record<string, (evidence: Evidence) => Finding>> = {
  acknowledged_is_there: acknowledgedIsThere,
  one_effect_a_key: oneEffectAKey,
  no_order_unasked: noOrderUnasked,
  answers_are_sane: answersAreSane,
  gates_hold: gatesHold,
  totals: totalsAreTheOperators,
  books_agree: booksAgree,
  never_oversold: neverOversold,
  each_unit_back_once: eachUnitBackOnce,
  limits_hold: limitsHold,
  money: moneyIsRight,
  refunds: refundsWereAsked,
  drained,
  no_surprises: noSurprises,
};

export type Judgment = {
  /** How many things each rule looked at. */
  checked: Record<string, number>;
  violations: Violation[];
  /** Acknowledged and lost within what the faults may cost. */
  lost_within_promise: number;
};

export function judge(lines: readonly Line[], ledger: LedgerRows, payments: Payment[]): Judgment {
  const evidence = gather(lines, ledger, payments);
  const judgment: Judgment = { checked: {}, violations: [], lost_within_promise: 0 };
  for (const [name, rule] of Object.entries(RULES)) {
    const { checked, violations } = rule(evidence);
    judgment.checked[name] = checked;
    judgment.violations.push(...violations);
  }
  const there = new Set(ledger.orders.map(({ id }) => id));
  const told = evidence.buys
    .filter(({ status }) => status === 201)
    .map(({ text }) => (JSON.parse(text ?? '{}') as { order_id: string }).order_id);
  judgment.lost_within_promise = new Set(told.filter((id) => !there.has(id))).size;
  return judgment;
}
