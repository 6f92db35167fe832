
if alone then
  if holder ~= id then
    return 'absent'
  end
  insist()
  local request = string.sub(alone, 85)
  local longer = keeps_longer(string.sub(request, 1, 16))
  redis.call('HSET', record, 'alone', last .. ' ' .. kept .. ' ' .. id .. ' ' .. clock .. ' ' .. request)
  if longer then
    keep(record)
  end
  return 'held ' .. last
end
