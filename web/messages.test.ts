import { describe, expect, it } from 'vitest';
import { OUTCOME_CODES } from '../domain/outcomes.ts';
import { MESSAGE_CODES, messageFor } from './messages.ts';

describe('messages of refusals', () => {
  it('has words for every code of the catalogue', () => {
    expect(OUTCOME_CODES.filter((code) => !MESSAGE_CODES.includes(code))).toEqual([]);
  });

  it('has no words for codes that the catalogue does not have', () => {
    expect(MESSAGE_CODES.filter((code) => !OUTCOME_CODES.some((known) => known === code))).toEqual([]);
  });

  it('tells sold out from too many', () => {
    const short = (available: number) => [{ sku: 'a', requested: 3, available }];
    expect(messageFor({ code: 'sold_out', status: 409, short: short(0) }, 'a').title).toBe('Sold out');
    expect(messageFor({ code: 'sold_out', status: 409, short: short(2) }, 'a').title).toBe('Only 2 left');
  });

  it('tells from when on a held product may come back', () => {
    const at = '2030-01-01T00:00:00.000Z';
    const message = messageFor({ code: 'temporarily_held', status: 409, earliest_release_at: at });
    expect(message).toMatchObject({ until: at, next: 'try_again' });
    expect(message.text).toContain('{left}');
  });

  it('tells what the limit leaves', () => {
    const message = (held: number) =>
      messageFor({ code: 'purchase_limit_reached', status: 422, limit: 4, held });
    expect(message(3).text).toContain('You can buy 1 more');
    expect(message(4).text).toContain('Cancel one of your orders');
    expect(message(0).next).toBeUndefined();
  });

  it('names the fields of a bad address', () => {
    const errors = [{ path: '/shipping_address/postal_code', message: 'must be text' }];
    expect(messageFor({ code: 'invalid_request', status: 400, errors }).text).toContain(
      'postal code must be text',
    );
  });

  it('shows a refusal it does not know in the words of the answer', () => {
    expect(messageFor({ code: 'new', status: 418, title: 'T', detail: 'D' })).toEqual({
      title: 'T',
      text: 'D',
    });
  });
});
