-- Puts the operator's gate as the ledger has it, with the entry that says so. True if it did: a version not above the
-- record's changes nothing.
local function set_gate(record_key, stream_key, record, version, gate)
  if version <= tonumber(record.gate_version) then
    return false
  end
  local seq = append_entry(stream_key, record, 'gate', {
    at = now_ms(), n = tonumber(record.applied_n), sku = {}, av = {}, he = {}, gate = gate, version = version,
  })
  redis.call('HSET', record_key, 'seq', string.format('%d', seq),
    'gate', gate, 'gate_version', string.format('%d', version))
  return true
end
