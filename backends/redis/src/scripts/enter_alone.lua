-- Where nobody else stands, there is nothing to compare.
if not many and (holder and holder == id or not holder and last < clock) then
  if not holder then
    last = clock
  end
  local ttl = sub(ARGV[2], 1, 16)
  local longer = kept - now < ttl + DAY
  if longer then
    kept = string.format('%016.0f', now + ttl + DAY + HOUR)
  end
  local mine = last .. ' ' .. kept .. ' ' .. id .. ' ' .. clock .. ' ' .. ARGV[2]
  redis.call('HSET', record, 'head', mine)
  if longer then
    redis.call('PEXPIRE', record, math.ceil((kept - now) / 1000))
  end
  return 'held ' .. last
end
