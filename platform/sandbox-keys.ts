/**
 * What the sandbox PSP takes for the keys of the providers that it plays: all follow from its one secret, in each
 * provider's form. A key of a real account never reaches it.
 */
export type SandboxKeys = ReturnType<typeof sandboxKeys>;

export function sandboxKeys(secret: string) {
  return {
    secret,
    stripe: { secret_key: `sk_test_${secret}`, webhook_secret: `whsec_${secret}` },
    midtrans: { server_key: `SB-Mid-server-${secret}` },
    razorpay: { key_id: 'rzp_test_sandbox', key_secret: secret, webhook_secret: secret },
    paypal: { client_id: 'sandbox', client_secret: secret, webhook_id: 'WH-SANDBOX' },
  };
}
