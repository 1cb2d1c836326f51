-- Appends the one stream entry of a script call. Its id is the sale's next sequence number, so the
-- stream is the sale's total order and a gap can be seen. This is the first write of every verb: if
-- Redis refuses writes (memory, disk), it refuses here and nothing has changed.
-- `header` is packed as it is, with the time, the applied movement number and, for every SKU touched,
-- what is available and held after the entry.
local function append_entry(stream_key, record, verb, header, orders)
  local seq = tonumber(record.seq) + 1
  local id = string.format('%d-0', seq)
  if orders then
    redis.call('XADD', stream_key, id, 'v', verb, 'h', cmsgpack.pack(header), 'o', orders)
  else
    redis.call('XADD', stream_key, id, 'v', verb, 'h', cmsgpack.pack(header))
  end
  return seq
end
