if not many and ARGV[2] == '0' then
  if holder ~= id then
    return 'absent'
  end
  local free = sub(head, 1, 33)
  if type(redis.pcall('HSET', record, 'head', free)) == 'table' then
    redis.call('HDEL', record, '') -- As `insist` below.
    redis.call('HSET', record, 'head', free)
  end
  return 'held ' .. last
end
