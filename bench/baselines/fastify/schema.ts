/** The body of a checkout, as this shop's own ajv checks it. */
export const CHECKOUT = {
  type: 'object',
  additionalProperties: false,
  required: ['sale_id', 'items', 'payment_method', 'shipping_address'],
  properties: {
    sale_id: { type: 'string', minLength: 1, maxLength: 64 },
    items: {
      type: 'array',
      minItems: 1,
      maxItems: 50,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['sku', 'qty'],
        properties: {
          sku: { type: 'string', minLength: 1, maxLength: 64 },
          qty: { type: 'integer', minimum: 1, maximum: 1_000 },
        },
      },
    },
    payment_method: {
      type: 'object',
      additionalProperties: false,
      required: ['type', 'token'],
      properties: {
        type: { type: 'string', enum: ['card', 'upi', 'wallet'] },
        token: { type: 'string', minLength: 1, maxLength: 255 },
      },
    },
    shipping_address: {
      type: 'object',
      additionalProperties: false,
      required: ['name', 'line1', 'city', 'postal_code', 'country'],
      properties: {
        name: { type: 'string', minLength: 1, maxLength: 120 },
        line1: { type: 'string', minLength: 1, maxLength: 200 },
        line2: { type: 'string', minLength: 1, maxLength: 200 },
        city: { type: 'string', minLength: 1, maxLength: 100 },
        region: { type: 'string', minLength: 1, maxLength: 100 },
        postal_code: { type: 'string', minLength: 1, maxLength: 20 },
        country: { type: 'string', minLength: 1, maxLength: 64 },
      },
    },
  },
} as const;

export type Checkout = {
  sale_id: string;
  items: { sku: string; qty: number }[];
  payment_method: { type: string; token: string };
  shipping_address: Record<string, string>;
};
