/** Lets a loop wait until it is woken or some time has passed. A wake while nobody waits is kept for the next wait. */
export type Waker = { wake(): void; wait(ms: number): Promise<void> };

export function createWaker(): Waker {
  let woken = false;
  let release: (() => void) | undefined;
  return {
    wake() {
      woken = true;
      release?.();
    },
    async wait(ms) {
      if (!woken) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, ms);
          release = () => {
            clearTimeout(timer);
            resolve();
          };
        });
        release = undefined;
      }
      woken = false;
    },
  };
}
