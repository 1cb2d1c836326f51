/** A set of names in fixed memory that may say yes where it should say no, never the reverse. */

const BITS = 2 ** 25;
const HASHES = 8;

export type NameFilter = { add(name: string): void; mayHave(name: string): boolean };

/** 4 MiB; a million names give one wrong yes in several hundred thousand. */
export function createNameFilter(): NameFilter {
  const words = new Uint32Array(BITS / 32);
  return {
    add(name) {
      const [first, step] = hashes(name);
      for (let i = 0; i < HASHES; i++) {
        const bit = (first + i * step) % BITS;
        words[bit >>> 5] |= 1 << (bit & 31);
      }
    },
    mayHave(name) {
      const [first, step] = hashes(name);
      for (let i = 0; i < HASHES; i++) {
        const bit = (first + i * step) % BITS;
        if ((words[bit >>> 5] & (1 << (bit & 31))) === 0) return false;
      }
      return true;
    },
  };
}

/** FNV-1a from two starting points; the second is odd, so that all steps differ. */
function hashes(name: string): [number, number] {
  let a = 0x811c9dc5;
  let b = 0x050c5d1f;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193) >>> 0;
    b = Math.imul(b ^ code, 0x01000193) >>> 0;
  }
  return [a, (b | 1) >>> 0];
}
