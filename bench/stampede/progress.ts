/** Progress on standard error: one line that changes in a terminal, now and then a new one elsewhere. */

export type Progress = {
  /** Replaces what is shown. */
  show(text: string): void;
  /** A line that stays. */
  say(line: string): void;
  /** Removes what is shown. */
  clear(): void;
};

const TERMINAL_MS = 100;
const ELSEWHERE_MS = 2_000;

export function progressOn(stream: NodeJS.WriteStream): Progress {
  const terminal = stream.isTTY === true;
  let shown_ms = 0;
  const clear = () => {
    if (terminal) stream.write('\r\u001b[K');
  };
  return {
    show(text) {
      const now_ms = performance.now();
      if (now_ms - shown_ms < (terminal ? TERMINAL_MS : ELSEWHERE_MS)) return;
      shown_ms = now_ms;
      clear();
      stream.write(terminal ? text : `${text}\n`);
    },
    say(line) {
      clear();
      stream.write(`${line}\n`);
    },
    clear,
  };
}
