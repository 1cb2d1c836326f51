import { describe, expect, test } from 'vitest';
import { ATTEMPT_STATES, canAttemptTransition } from '../../domain/attempt-machine.ts';
import { ORDER_STATES } from '../../domain/order-machine.ts';
import { PAYMENT_STATUSES } from '../../payments/port.ts';
import { pathTo } from './findings.ts';
import { isOver, nextStep } from './steps.ts';

describe('the next step', () => {
  const standings = ATTEMPT_STATES.flatMap((state) =>
    ORDER_STATES.flatMap((order_state) =>
      [true, false].flatMap((reversal_wanted) =>
        [true, false].flatMap((made) =>
          [true, false].map((capture_wanted) => ({
            ...{ state, order_state, reversal_wanted, made, capture_wanted },
          })),
        ),
      ),
    ),
  );

  test('asks for money only for an attempt that was made just now and that nobody wants back', () => {
    for (const standing of standings.filter((one) => nextStep(one) === 'authorize')) {
      expect(standing).toMatchObject({ state: 'pending', made: true, reversal_wanted: false });
    }
  });

  test('takes money only of confirmed orders, when it is to be taken, and never what is wanted back', () => {
    const captures = standings.filter((one) => nextStep(one) === 'capture');
    expect(new Set(captures.map((one) => one.order_state))).toEqual(
      new Set(['confirmed', 'shipped', 'delivered']),
    );
    expect(
      captures.every((one) => one.state === 'authorized' && one.capture_wanted && !one.reversal_wanted),
    ).toBe(true);
  });

  test('is the reversal for whatever may hold money that is wanted back', () => {
    for (const one of standings.filter((standing) => standing.reversal_wanted)) {
      const over = ['refunded', 'voided', 'declined'].includes(one.state);
      expect(nextStep(one)).toBe(over ? 'none' : 'reverse');
    }
  });
});

describe('what a provider says leads', () => {
  test('only along edges of the machine, and never back', () => {
    for (const from of ATTEMPT_STATES) {
      for (const to of PAYMENT_STATUSES) {
        let at = from;
        for (const next of pathTo(from, to)) {
          if (next !== at) expect(canAttemptTransition(at, next), `${from} ${to}: ${at} ${next}`).toBe(true);
          at = next;
        }
        if (at !== to) expect(at === from || (isOver(at) && isOver(to)), `${from} ${to}: ${at}`).toBe(true);
      }
    }
    expect(pathTo('captured', 'authorized')).toEqual([]);
    expect(pathTo('authorized', 'pending')).toEqual([]);
    expect(pathTo('voided', 'authorized')).toEqual([]);
  });

  test('past several states at once, when the provider is ahead of us', () => {
    expect(pathTo('authorized', 'refunded')).toEqual(['captured', 'refunded']);
    // Not through captured: that would confirm the order on the way.
    expect(pathTo('pending', 'refunded')).toEqual(['unknown', 'refunded']);
    expect(pathTo('unknown', 'captured')).toEqual(['captured']);
  });
});
