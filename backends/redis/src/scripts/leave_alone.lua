
if alone and ARGV[2] == '0' then
  if holder ~= id then
    return 'absent'
  end
  local free = last .. ' ' .. kept
  if type(redis.pcall('HSET', record, 'alone', free)) == 'table' then
    insist()
    redis.call('HSET', record, 'alone', free)
  end
  return 'held ' .. last
end
