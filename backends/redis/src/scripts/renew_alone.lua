if not many then
  if holder ~= id then
    return 'absent'
  end
  redis.call('HDEL', record, '') -- As `insist` below.
  local request = sub(head, 85)
  local ttl = sub(request, 1, 16)
  local longer = kept - now < ttl + DAY
  if longer then
    kept = string.format('%016.0f', now + ttl + DAY + HOUR)
  end
  local mine = last .. ' ' .. kept .. ' ' .. id .. ' ' .. clock .. ' ' .. request
  redis.call('HSET', record, 'head', mine)
  if longer then
    redis.call('PEXPIRE', record, math.ceil((kept - now) / 1000))
  end
  return 'held ' .. last
end
