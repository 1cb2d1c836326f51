/**
 * Binary COPY into a table. For many rows at once it costs Postgres and us less than INSERT: no arrays to write and to read,
 * values as they lie in memory, and many rows to one record of the WAL.
 *
 * The rows follow their command without waiting for it (those of a command that failed are passed over by the server), and
 * in pieces: Postgres is at work on the first while the next are written.
 */
import type pg from 'pg';
import type { Queryable } from './postgres.ts';
import { RowBuffer } from './row-buffer.ts';

export type CopyStatement<Values> = {
  /** As of a prepared statement: unique in the program. */
  name: string;
  /** COPY table (columns) FROM STDIN (FORMAT binary) */
  text: string;
  /** Any number of rows, each begun by `beginRow`. */
  write(to: RowBuffer, values: Values): void;
};

/** `tx`: one connection, no pool. Returns how many rows were written. Throws what INSERT would. */
export async function copyRows<Values extends readonly unknown[]>(
  tx: Queryable,
  statement: CopyStatement<Values>,
  values: Values,
): Promise<number> {
  const copy = new Copy(statement, values);
  return (await tx.query(copy as unknown as pg.QueryConfig)).rowCount ?? 0;
}

type Answer = { rowCount: number; rows: never[]; command: string };
type Wire = {
  query(text: string): void;
  sendCopyFromChunk(bytes: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(why: string): void;
};

/** What pg's client takes for a query: told of each message until the answer is whole. Awaited like any other. */
class Copy<Values extends readonly unknown[]> implements PromiseLike<Answer> {
  readonly name: string;
  readonly text: string;
  readonly values: Values;
  /** Replaced by the client, which watches the time. */
  callback: (error: Error | null, answer?: Answer) => void;
  private readonly statement: CopyStatement<Values>;
  private readonly answer: Promise<Answer>;
  private written = 0;
  private unwritable: Error | undefined;

  constructor(statement: CopyStatement<Values>, values: Values) {
    this.name = statement.name;
    this.text = statement.text;
    this.values = values;
    this.statement = statement;
    this.callback = () => {};
    this.answer = new Promise((resolve, reject) => {
      this.callback = (error, answer) => (answer ? resolve(answer) : reject(error));
    });
    // Whoever awaits it hears of it.
    this.answer.catch(() => {});
  }

  // biome-ignore lint/suspicious/noThenProperty: the client gives back what it was given, and that is awaited
  get then() {
    return this.answer.then.bind(this.answer);
  }

  submit(wire: Wire): void {
    wire.query(this.text);
    // The serializer copies what it is given.
    const buffer = new RowBuffer((piece) => wire.sendCopyFromChunk(piece));
    try {
      this.statement.write(buffer, this.values);
      buffer.end();
      wire.endCopyFrom();
    } catch (error) {
      // The server ends the command with an error of its own; ours says why.
      this.unwritable = error as Error;
      wire.sendCopyFail('');
    }
  }

  handleCopyInResponse(): void {}

  handleCommandComplete({ text }: { text: string }): void {
    this.written = Number(text.slice('COPY '.length));
  }

  handleReadyForQuery(): void {
    this.callback(null, { rowCount: this.written, rows: [], command: 'COPY' });
  }

  handleError(error: Error): void {
    this.callback(this.unwritable ?? error);
  }
}
