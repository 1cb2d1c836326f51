/** Rows in COPY's binary format: a header, each row as a count of columns and each value with its length, an end. */

/** Signature, flags, length of an extension: none. */
const HEADER = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
const NULL = -1;
const END = -1;
const JSONB_VERSION = 1;
const UINT32 = 2 ** 32;
/** Postgres counts microseconds from 2000-01-01 UTC. */
const EPOCH_MS = Date.UTC(2000, 0, 1);
const UTF8_BYTES_MAX = 3;

/** Enough for the server to be busy with, soon full. */
const PIECE_BYTES = 65_536;

export class RowBuffer {
  private bytes = Buffer.allocUnsafe(PIECE_BYTES);
  private at = HEADER.copy(this.bytes);
  private readonly send: (piece: Buffer) => void;

  /** `send` gets the rows in pieces while they are written, and must be done with each when it returns. */
  constructor(send: (piece: Buffer) => void) {
    this.send = send;
  }

  beginRow(columns: number): void {
    this.room(2);
    this.at = this.bytes.writeInt16BE(columns, this.at);
  }

  null(): void {
    this.room(4);
    this.at = this.bytes.writeInt32BE(NULL, this.at);
  }

  text(value: string): void {
    this.room(4 + UTF8_BYTES_MAX * value.length);
    const length = this.bytes.write(value, this.at + 4);
    this.bytes.writeInt32BE(length, this.at);
    this.at += 4 + length;
  }

  /** null: NULL. */
  jsonb(value: unknown): void {
    if (value === null) {
      this.null();
      return;
    }
    const text = JSON.stringify(value);
    this.room(5 + UTF8_BYTES_MAX * text.length);
    const length = this.bytes.write(text, this.at + 5);
    this.bytes.writeInt32BE(1 + length, this.at);
    this.bytes[this.at + 4] = JSONB_VERSION;
    this.at += 5 + length;
  }

  bytea(value: Buffer): void {
    this.room(4 + value.length);
    this.bytes.writeInt32BE(value.length, this.at);
    this.at += 4 + value.copy(this.bytes, this.at + 4);
  }

  smallint(value: number): void {
    this.room(6);
    this.bytes.writeInt32BE(2, this.at);
    this.at = this.bytes.writeInt16BE(value, this.at + 4);
  }

  /** A safe integer. */
  bigint(value: number): void {
    this.room(12);
    this.bytes.writeInt32BE(8, this.at);
    this.bytes.writeInt32BE(Math.floor(value / UINT32), this.at + 4);
    // Two's complement of the lower half, also below 0.
    this.at = this.bytes.writeUInt32BE(value - Math.floor(value / UINT32) * UINT32, this.at + 8);
  }

  /** ms since 1970; to the microsecond. */
  timestamptz(time_ms: number): void {
    this.bigint(Math.round((time_ms - EPOCH_MS) * 1_000));
  }

  /** What is left; nothing may be written after. */
  end(): void {
    this.room(2);
    this.at = this.bytes.writeInt16BE(END, this.at);
    this.flush();
  }

  private room(bytes: number): void {
    if (this.at + bytes <= this.bytes.length) return;
    this.flush();
    if (bytes > this.bytes.length) this.bytes = Buffer.allocUnsafe(bytes);
  }

  private flush(): void {
    this.send(this.bytes.subarray(0, this.at));
    this.at = 0;
  }
}
