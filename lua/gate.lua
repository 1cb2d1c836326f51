-- gate: sets the operator's gate as the ledger has it. A version not above the sale's changes nothing.
-- KEYS: record stream
-- ARGV: epoch generation version gate
-- RETURNS: { 'refused', reason, epoch, generation } or { 'set' } or { 'already' }

-- @include lib/identity
-- @include lib/clock
-- @include lib/record
-- @include lib/guard
-- @include lib/entry
-- @include lib/gate

local record_key, stream_key = KEYS[1], KEYS[2]
local epoch, version, gate = tonumber(ARGV[1]), tonumber(ARGV[3]), ARGV[4]
-- Nothing may fail once the entry is written.
if not version or not gate then
  return redis.error_reply('ERR gate: arguments are missing')
end

local record = read_record(record_key)
local refusal = guard(record_key, record, epoch)
if refusal then
  return refusal
end
if set_gate(record_key, stream_key, record, version, gate) then
  return { 'set' }
end
return { 'already' }
