-- The sale's record: one small hash. Missing fields read as nil.
local RECORD_FIELDS = {
  'epoch', 'generation', 'identity', 'seq', 'applied_n', 'gate', 'gate_version', 'recovery',
  'opens_at_ms', 'closes_at_ms', 'hold_ms', 'limit', 'earliest_ms',
}
local function read_record(record_key)
  local values = redis.call('HMGET', record_key, unpack(RECORD_FIELDS))
  local record = {}
  for i = 1, #RECORD_FIELDS do
    record[RECORD_FIELDS[i]] = values[i] or nil
  end
  return record
end
