/** What the process that ingests is told, and what it says. */
export type Follow = { database_url: string; redis_url: string; sale_no: number; until_seq: number };

export type Followed = {
  seconds: number;
  /** Of each step that wrote a chunk, ms. */
  chunks_ms: number[];
};
