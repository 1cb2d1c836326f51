/** The wire formats that the sandbox speaks besides its own, by the name of their mount. */
import type { WireMaker } from './wire.ts';

export const WIRES: Readonly<Record<string, WireMaker>> = {};
