-- A buyer's limit counter lies under the first 14 of the 16 bytes of the buyer's hash: with what Redis puts around them
-- they take 16 bytes of memory instead of 32. domain/ids.ts has the same number; a test holds them together.
local LIMIT_COUNTER_BYTES = 14

-- The name of the counter whose buyer's hash begins at `first` in `hashes`.
local function limit_counter(hashes, first)
  return string.sub(hashes, first, first + LIMIT_COUNTER_BYTES - 1)
end
