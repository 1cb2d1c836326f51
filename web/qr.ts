/**
 * A QR code of a short text (ISO/IEC 18004): byte mode, error correction level M, versions 1 to 15, which is up to 412
 * bytes of UTF-8. Enough for a payment link, and no more than that.
 */

/** Rows of modules, true for dark; without the quiet zone of four modules around it. */
export type QrMatrix = boolean[][];

/** By version, from 1: error correction codewords of a block, and blocks, at level M. */
const CORRECTION = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24];
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10];

/** Undefined where the text is too long. */
export function qrMatrix(text: string): QrMatrix | undefined {
  const bytes = [...new TextEncoder().encode(text)];
  const version =
    CORRECTION.findIndex((_, i) => bytes.length + (i + 1 < 10 ? 2 : 3) <= dataLength(i + 1)) + 1;
  if (version === 0) return undefined;
  const stream = interleaved(dataCodewords(bytes, version), version);
  let best: { matrix: QrMatrix; penalty: number } | undefined;
  for (const [mask] of MASKS.entries()) {
    const matrix = drawn(version, stream, mask);
    const penalty = penaltyOf(matrix);
    if (!best || penalty < best.penalty) best = { matrix, penalty };
  }
  return best?.matrix;
}

function rawLength(version: number): number {
  const aligned = Math.floor(version / 7) + 2;
  const base = (16 * version + 128) * version + 64;
  const alignment = version > 1 ? (25 * aligned - 10) * aligned - 55 : 0;
  return Math.floor((base - alignment - (version >= 7 ? 36 : 0)) / 8);
}

function dataLength(version: number): number {
  return rawLength(version) - (CORRECTION[version - 1] ?? 0) * (BLOCKS[version - 1] ?? 0);
}

/** Mode, length, text, terminator and padding. */
function dataCodewords(bytes: number[], version: number): number[] {
  const length_digits = version < 10 ? 2 : 4;
  const digits = `4${bytes.length.toString(16).padStart(length_digits, '0')}${bytes.map(hex).join('')}0`;
  const codewords = (digits.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
  while (codewords.length < dataLength(version)) {
    codewords.push((codewords.length - bytes.length - length_digits / 2) % 2 === 1 ? 0xec : 0x11);
  }
  return codewords;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

/** Split into blocks, each with its correction, then taken from all blocks in turn. */
function interleaved(data: number[], version: number): number[] {
  const [correction, count] = [CORRECTION[version - 1] ?? 0, BLOCKS[version - 1] ?? 1];
  const short_length = Math.floor(data.length / count);
  const short_count = count - (data.length % count);
  const divisor = divisorOf(correction);
  let at = 0;
  const blocks = Array.from({ length: count }, (_, i) => {
    const part = data.slice(at, at + short_length + (i < short_count ? 0 : 1));
    at += part.length;
    return { part, check: remainderOf(part, divisor) };
  });
  const columns = (parts: number[][]) =>
    Array.from({ length: Math.max(...parts.map((part) => part.length)) }, (_, i) =>
      parts.flatMap((part) => (i < part.length ? [part[i] as number] : [])),
    ).flat();
  return [...columns(blocks.map(({ part }) => part)), ...columns(blocks.map(({ check }) => check))];
}

/** In GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 7; bit >= 0; bit--) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    product ^= ((b >>> bit) & 1) * a;
  }
  return product;
}

/** (x - 1)(x - 2)(x - 4)..., without its leading 1. */
function divisorOf(degree: number): number[] {
  const result: number[] = [...Array<number>(degree - 1).fill(0), 1];
  let root = 1;
  for (let i = 0; i < degree; i++) {
    for (let j = 0; j < degree; j++) result[j] = multiply(result[j] ?? 0, root) ^ (result[j + 1] ?? 0);
    root = multiply(root, 2);
  }
  return result;
}

function remainderOf(data: number[], divisor: number[]): number[] {
  const result = Array<number>(divisor.length).fill(0);
  for (const byte of data) {
    const factor = byte ^ (result.shift() ?? 0);
    result.push(0);
    for (const [i, coefficient] of divisor.entries())
      result[i] = (result[i] ?? 0) ^ multiply(coefficient, factor);
  }
  return result;
}

const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

function drawn(version: number, stream: number[], mask: number): QrMatrix {
  const size = version * 4 + 17;
  const cells = Array.from({ length: size }, () => Array<boolean | undefined>(size).fill(undefined));
  const set = (x: number, y: number, dark: boolean) => {
    const row = cells[y];
    if (row && x >= 0 && x < size) row[x] = dark;
  };
  drawPatterns(version, size, set);
  drawFormat(mask, size, set);
  if (version >= 7) drawVersion(version, size, set);

  let bit = 0;
  for (const right of columnPairs(size)) {
    for (let i = 0; i < size; i++) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - i : i;
      for (const x of [right, right - 1]) {
        if (cells[y]?.[x] !== undefined) continue;
        const dark = (((stream[bit >>> 3] ?? 0) >>> (7 - (bit & 7))) & 1) === 1;
        set(x, y, dark !== (MASKS[mask]?.(x, y) ?? false));
        bit++;
      }
    }
  }
  return cells.map((row) => row.map(Boolean));
}

/** Right columns of the pairs in which the stream runs; the timing column is left out. */
function columnPairs(size: number): number[] {
  const rights: number[] = [];
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    rights.push(right);
  }
  return rights;
}

type SetModule = (x: number, y: number, dark: boolean) => void;

function drawPatterns(version: number, size: number, set: SetModule): void {
  for (let i = 0; i < size; i++) {
    set(6, i, i % 2 === 0);
    set(i, 6, i % 2 === 0);
  }
  const places = alignmentPlaces(version, size);
  const last = places.length - 1;
  for (const [i, x] of places.entries()) {
    for (const [j, y] of places.entries()) {
      const in_finder = (i === 0 && j === 0) || (i === 0 && j === last) || (i === last && j === 0);
      if (!in_finder) drawRings(x, y, 2, set, (ring) => ring !== 1);
    }
  }
  for (const [x, y] of [
    [3, 3],
    [size - 4, 3],
    [3, size - 4],
  ] as const) {
    drawRings(x, y, 4, set, (ring) => ring !== 2 && ring !== 4);
  }
}

function drawRings(
  x: number,
  y: number,
  radius: number,
  set: SetModule,
  dark: (ring: number) => boolean,
): void {
  for (let dy = -radius; dy <= radius; dy++) {
    for (let dx = -radius; dx <= radius; dx++) {
      set(x + dx, y + dy, dark(Math.max(Math.abs(dx), Math.abs(dy))));
    }
  }
}

function alignmentPlaces(version: number, size: number): number[] {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.ceil((size - 13) / (count * 2 - 2)) * 2;
  return [6, ...Array.from({ length: count - 1 }, (_, i) => size - 7 - step * (count - 2 - i))];
}

/** Level M is 00; both copies, and the module that is always dark. */
function drawFormat(mask: number, size: number, set: SetModule): void {
  let rest = mask;
  for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
  const bits = ((mask << 10) | rest) ^ 0x5412;
  const bit = (i: number) => ((bits >>> i) & 1) === 1;
  for (let i = 0; i < 15; i++) {
    if (i < 6) set(8, i, bit(i));
    else if (i < 8) set(8, i + 1, bit(i));
    else if (i === 8) set(7, 8, bit(i));
    else set(14 - i, 8, bit(i));
    if (i < 8) set(size - 1 - i, 8, bit(i));
    else set(8, size - 15 + i, bit(i));
  }
  set(8, size - 8, true);
}

function drawVersion(version: number, size: number, set: SetModule): void {
  let rest = version;
  for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >>> 11) * 0x1f25);
  const bits = (version << 12) | rest;
  for (let i = 0; i < 18; i++) {
    const [a, b] = [size - 11 + (i % 3), Math.floor(i / 3)];
    set(a, b, ((bits >>> i) & 1) === 1);
    set(b, a, ((bits >>> i) & 1) === 1);
  }
}

/** How hard it would be to read: long runs, blocks of one colour, what looks like a finder, too dark or too light. */
function penaltyOf(matrix: QrMatrix): number {
  const rows = matrix.map((row) => row.map(Number).join(''));
  const columns = matrix.map((_, x) => matrix.map((row) => Number(row[x])).join(''));
  let penalty = 0;
  for (const line of [...rows, ...columns]) {
    for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) penalty += run.length - 2;
    penalty += 40 * [...line.matchAll(/(?=00001011101|10111010000)/g)].length;
  }
  for (const [y, row] of matrix.entries()) {
    for (let x = 1; x < row.length && y > 0; x++) {
      const above = matrix[y - 1];
      if (row[x] === row[x - 1] && row[x] === above?.[x] && row[x] === above?.[x - 1]) penalty += 3;
    }
  }
  const dark = rows.join('').replaceAll('0', '').length / matrix.length ** 2;
  return penalty + 10 * Math.floor(Math.abs(dark - 0.5) * 20);
}
