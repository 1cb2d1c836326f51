-- Who is this process? run_id changes with every start, master_replid with every promotion, so the
-- pair changes whenever the memory may be another one than the reconciler has checked.
local function identity_now()
  local info = redis.call('INFO', 'server', 'replication')
  return string.match(info, 'run_id:(%x+)') .. string.match(info, 'master_replid:(%x+)')
end
