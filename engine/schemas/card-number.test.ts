import { expect, it } from 'vitest';
import { holdsCardNumber } from './card-number.ts';

it.each([
  '4111111111111111',
  '4111 1111 1111 1111',
  '4111-1111-1111-1111',
  'my card is 5555555555554444, thanks',
  '378282246310005', // 15 digits
  '6304000000000000', // Maestro
  'Flat 12 4111 1111 1111 1111',
  '4111  1111 - 1111 1111',
  '4111\u00a01111\u00a01111\u00a01111',
  '4111–1111–1111–1111',
  '４１１１１１１１１１１１１１１１',
  '4222222222222', // 13 digits
])('%s holds a card number', (text) => {
  expect(holdsCardNumber(text)).toBe(true);
});

it.each([
  '',
  'pm_ok',
  '4111111111111112', // fails Luhn
  '411111111111', // 12 digits
  '41111111111111111111', // 20 digits
  '+62 812 3456 7890',
  'Jalan Jenderal Sudirman Kav. 52-53, 12190',
  '4111, 1111, 1111, 1111',
])('%s holds none', (text) => {
  expect(holdsCardNumber(text)).toBe(false);
});
