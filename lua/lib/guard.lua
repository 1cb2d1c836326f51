-- The fence. Every verb that changes a sale begins here. Returns nil when it may go on, else the
-- refusal to return: { 'refused', reason, epoch, generation }.
--   missing     no record: nothing is written
--   recovering  this memory has not been checked by the reconciler (or lost a race with the ledger)
--   epoch       the caller is behind: adopt the epoch and generation told, and send again
-- Setting the recovery gate takes no sequence and appends nothing.
local function guard(record_key, record, epoch)
  if not record.epoch then
    return { 'refused', 'missing', '0', '0' }
  end
  local known = tonumber(record.epoch)
  if record.recovery == 'open' and (record.identity ~= identity_now() or known < epoch) then
    redis.call('HSET', record_key, 'recovery', 'recovering')
    record.recovery = 'recovering'
  end
  if record.recovery ~= 'open' then
    return { 'refused', 'recovering', record.epoch, record.generation }
  end
  if known > epoch then
    return { 'refused', 'epoch', record.epoch, record.generation }
  end
  return nil
end
