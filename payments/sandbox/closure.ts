/** How a closed reference is kept among the sandbox's payments. */
import { randomUUID } from 'node:crypto';
import type { SandboxPayment } from './payment.ts';

/** Stands for a reference that was closed before anything was authorized under it. */
export function closure(reference: string, provider: string | undefined): SandboxPayment {
  return {
    id: `pay_${randomUUID()}`,
    ...(provider ? { provider } : {}),
    reference,
    order_id: '',
    status: 'voided',
    amount: 0,
    captured: 0,
    refunded: 0,
    currency: '',
    decline_code: 'reference_closed',
    created_at_ms: Date.now(),
    late_at_ms: null,
  };
}

export function isClosure(payment: SandboxPayment): boolean {
  return payment.order_id === '' && payment.status === 'voided';
}
