-- A buyer's limit counter lies under the first 14 of the 16 bytes of the buyer's hash: with what Redis puts around them
-- they take 16 bytes of memory instead of 32. domain/ids.ts has the same number; a test holds them together.
local LIMIT_COUNTER_BYTES = 14
