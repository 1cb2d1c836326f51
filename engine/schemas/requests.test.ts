import { describe, expect, it } from 'vitest';
import { checkoutBody, saleBody } from './requests.ts';
import { compile, type Fault } from './validate.ts';

const validate = compile(checkoutBody);
const validateSale = compile(saleBody);

const address = { name: 'Ada', line1: '12 St James Sq', city: 'London', postal_code: 'SW1Y', country: 'GB' };
const good = {
  sale_id: 'demo',
  items: [{ sku: 'watch', qty: 1 }],
  payment_method: { type: 'card', token: 'pm_ok' },
  shipping_address: address,
};

function faults(body: unknown): Fault[] {
  const result = validate(body);
  return 'faults' in result ? result.faults : [];
}

describe('a checkout body', () => {
  it('passes as documented', () => {
    expect(faults(good)).toEqual([]);
    expect(
      faults({ ...good, shipping_address: { ...address, line2: 'Flat 3', region: 'Greater London' } }),
    ).toEqual([]);
  });

  it.each([0, -1, 1.5, 1e9, 1001, '1', null, true, [1], {}])('qty %j is refused', (qty) => {
    const [fault] = faults({ ...good, items: [{ sku: 'watch', qty }] });
    expect(fault.path).toBe('/items/0/qty');
    expect(fault.message).toMatch(/^must be/);
  });

  it.each(['price', 'state', 'user_id', 'epoch', 'unit_price', '__proto__', 'constructor'])(
    'a field %s is unknown',
    (field) => {
      const body = JSON.parse(`{"${field}":1,${JSON.stringify(good).slice(1)}`);
      expect(faults(body)).toEqual([{ path: `/${field}`, message: 'is not a known field' }]);
    },
  );

  it('is also closed further down', () => {
    expect(faults({ ...good, items: [{ sku: 'watch', qty: 1, price: 1 }] })[0].path).toBe('/items/0/price');
    expect(faults({ ...good, payment_method: { type: 'card', token: 'pm_ok', cvc: '123' } })[0].path).toBe(
      '/payment_method/cvc',
    );
    expect(faults({ ...good, shipping_address: { ...address, 'a/b~c': 1 } })[0].path).toBe(
      '/shipping_address/a~1b~0c',
    );
  });

  it('says everything that is missing', () => {
    expect(faults({})).toEqual(
      ['/sale_id', '/items', '/payment_method', '/shipping_address'].map((path) => ({
        path,
        message: 'is required',
      })),
    );
    expect(faults(null)).toEqual([{ path: '', message: 'must be an object' }]);
    expect(faults([])).toEqual([{ path: '', message: 'must be an object' }]);
  });

  it.each(['SAVE10', '', null, 5])('a coupon is refused whatever it is: %j', (coupon_code) => {
    expect(faults({ ...good, coupon_code })).toEqual([
      { path: '/coupon_code', message: 'there are no coupons yet: leave it out' },
    ]);
  });

  it.each(['', 'a b', 'ü', 'a'.repeat(65), '../x', 7])('sale id %j is refused', (sale_id) => {
    expect(faults({ ...good, sale_id })[0].path).toBe('/sale_id');
  });

  it.each(['name', 'line1', 'line2', 'city', 'region', 'postal_code', 'country'])(
    'a card number in %s is refused and not repeated',
    (field) => {
      const [fault] = faults({ ...good, shipping_address: { ...address, [field]: '4111-1111-1111-1111' } });
      expect(fault.path).toBe(`/shipping_address/${field}`);
      expect(fault.message).toContain('card number');
      expect(fault.message).not.toContain('4111');
    },
  );

  it('a card number instead of a token is refused', () => {
    const [fault] = faults({ ...good, payment_method: { type: 'card', token: '4242424242424242' } });
    expect(fault).toMatchObject({
      path: '/payment_method/token',
      message: expect.stringContaining('card number'),
    });
  });

  it.each(['a\u0000b', 'a\nb', '\ud800', '   ', 'a\u2028b'])('text %j is refused', (city) => {
    expect(faults({ ...good, shipping_address: { ...address, city } })[0].path).toBe(
      '/shipping_address/city',
    );
  });

  it('takes names of all the world', () => {
    for (const name of ['Ünsal Öztürk', '山田太郎', "Siobhán O'Brien-Nguyễn", 'عبد الله', '👩‍🚀 Ada']) {
      expect(faults({ ...good, shipping_address: { ...address, name } })).toEqual([]);
    }
  });

  it('has at most 50 lines, and 20 faults are told', () => {
    const items = Array.from({ length: 51 }, (_, i) => ({ sku: `s${i}`, qty: 1 }));
    expect(faults({ ...good, items })).toEqual([
      { path: '/items', message: 'must have at most 50 elements' },
    ]);
    expect(faults({ ...good, items: items.slice(0, 50).map(({ sku }) => ({ sku, qty: 0 })) })).toHaveLength(
      20,
    );
  });
});

describe('where the buyer is told', () => {
  it.each([
    { email: 'ada@example.com' },
    { email: "o'hara+drop@mail.example.co.uk", phone: '+6281234567890' },
    { phone: '+442071838750' },
  ])('%j is taken', (contact) => {
    expect(faults({ ...good, contact })).toEqual([]);
  });

  it.each([
    [{}, '/contact'],
    [{ email: 'ada' }, '/contact/email'],
    [{ email: 'ada@localhost' }, '/contact/email'],
    [{ email: '4242424242424242@example.com' }, '/contact/email'],
    [{ email: 'ada@example.com\r\nBcc: all@example.com' }, '/contact/email'],
    [{ email: 'ada@example.com,bob@example.com' }, '/contact/email'],
    [{ email: 'Ada <ada@example.com>' }, '/contact/email'],
    [{ email: `${'a'.repeat(65)}@example.com` }, '/contact/email'],
    [{ email: `a@${'b'.repeat(260)}.com` }, '/contact/email'],
    [{ phone: '081234567890' }, '/contact/phone'],
    [{ phone: '+4242424242424242' }, '/contact/phone'],
    [{ phone: 6281234567890 }, '/contact/phone'],
    [{ email: 'ada@example.com', fax: '+1' }, '/contact/fax'],
  ])('%j is refused', (contact, path) => {
    expect(faults({ ...good, contact })[0]?.path).toBe(path);
  });
});

describe('a sale body', () => {
  const sale = { id: 's', currency: 'USD', items: [{ sku: 'a', name: 'A', unit_price: 100, qty: 5 }] };

  it('gets its defaults', () => {
    expect(validateSale(structuredClone(sale))).toEqual({
      value: { ...sale, hold_seconds: 600, limit_per_buyer: 1, capture: 'at_once' },
    });
  });

  it.each([
    [{ currency: 'usd' }, '/currency'],
    [{ currency: 'XXX' }, '/currency'],
    [{ opens_at: 'tomorrow' }, '/opens_at'],
    [{ opens_at: '2027-01-31T12:00:00' }, '/opens_at'],
    [{ opens_at: '2027-13-31T12:00:00Z' }, '/opens_at'],
    [{ opens_at: 1_700_000_000 }, '/opens_at'],
    [{ hold_seconds: 0 }, '/hold_seconds'],
    [{ capture: 'later' }, '/capture'],
    [{ psp: 'a b' }, '/psp'],
    [{ limit_per_buyer: -1 }, '/limit_per_buyer'],
    [{ items: [] }, '/items'],
    [{ items: [{ sku: 'a', name: 'A', unit_price: -1, qty: 5 }] }, '/items/0/unit_price'],
    [{ items: [{ sku: 'a', name: 'A', unit_price: 9.5, qty: 5 }] }, '/items/0/unit_price'],
    [{ items: [{ sku: 'a', name: 'A', unit_price: 1, qty: 0 }] }, '/items/0/qty'],
    [{ tenant: 'other' }, '/tenant'],
  ])('%j is refused', (change, path) => {
    const result = validateSale({ ...structuredClone(sale), ...change });
    expect('faults' in result && result.faults[0].path).toBe(path);
  });
});
