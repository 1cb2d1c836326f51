-- fill: many live reservations of distinct buyers, one unit each, as reserve.lua would have left them. Nothing goes to
-- the AOF or the stream: what is measured afterwards is what it costs that they are there.
-- KEYS: bucket buyers
-- ARGV: from to stamp answer
--
-- stamp, answer  of every record: time of the take, hold and answer, as reserve.lua states them

local bucket_key, buyers_key = KEYS[1], KEYS[2]
local from, to, rest = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] .. ARGV[4]
local STEP = 1000

redis.set_repl(redis.REPL_NONE)
for first = from, to, STEP do
  local records, counters = {}, {}
  for i = first, math.min(first + STEP - 1, to) do
    -- Distinct by their first four bytes; the dictionaries of Redis hash them.
    local sixteen = struct.pack('>I4I4I4I4', i, i * 7 % 4294967296, i * 13 % 4294967296, i * 31 % 4294967296)
    local at = #records
    records[at + 1], records[at + 2] = sixteen, sixteen .. sixteen .. rest
    counters[at + 1], counters[at + 2] = string.sub(sixteen, 1, 14), '1'
  end
  redis.call('HSET', bucket_key, unpack(records))
  redis.call('HSET', buyers_key, unpack(counters))
end
