/**
 * Requests of one client that are being read or worked on. A client behind a trusted proxy has no connections of its own
 * that could be counted, so its requests are; and a body that comes a byte at a time is a request under way.
 */
export type UnderWay = {
  /** False: it has too many already. Every true is followed by one `leave`. */
  enter(client: string): boolean;
  leave(client: string): void;
};

export function createUnderWay(max: number): UnderWay {
  const counts = new Map<string, number>();
  return {
    enter(client) {
      const count = counts.get(client) ?? 0;
      if (count >= max) return false;
      counts.set(client, count + 1);
      return true;
    },
    leave(client) {
      const count = counts.get(client) ?? 0;
      if (count <= 1) counts.delete(client);
      else counts.set(client, count - 1);
    },
  };
}
