/** How the sandbox shows its payments, and how a closed reference is kept among them. */
import { randomUUID } from 'node:crypto';
import type { SandboxPayment } from './payment.ts';
import type { SandboxEvent } from './webhooks.ts';

/** A payment as callers see it. */
export function told(payment: SandboxPayment): { payment: object } {
  const { created_at_ms, late_at_ms, ...rest } = payment;
  return { payment: { ...rest, created_at: new Date(created_at_ms).toISOString() } };
}

export function eventOf(
  head: { id: string; type: string },
  payment: SandboxPayment,
  at_ms: number,
): SandboxEvent {
  return { ...head, created_at: new Date(at_ms).toISOString(), ...told(payment) } as SandboxEvent;
}

/** Stands for a reference that was closed before anything was authorized under it. */
export function closure(reference: string): SandboxPayment {
  return {
    id: `pay_${randomUUID()}`,
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
