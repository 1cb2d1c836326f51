-- read: what the reconciler needs to follow a sale, in one consistent look: the record, who this process is,
-- and the next entries of the stream. Writes nothing.
-- KEYS: record stream
-- ARGV: after_seq count
-- RETURNS: { now_ms, identity_now, record fields as name, value, ..., entries as XRANGE gives them }
--          with no fields and no entries when there is no record

-- @include lib/identity
-- @include lib/clock

local record_key, stream_key = KEYS[1], KEYS[2]
local after_seq, count = tonumber(ARGV[1]), ARGV[2]

local fields = redis.call('HGETALL', record_key)
local entries = {}
if #fields > 0 then
  entries = redis.call('XRANGE', stream_key, string.format('%.0f-0', after_seq + 1), '+', 'COUNT', count)
end
return { string.format('%.0f', now_ms()), identity_now(), fields, entries }
