
-- Where nobody else stands, there is nothing to compare.
if alone and (not holder or holder == id) then
  if not holder then
    take_number()
  end
  local longer = keeps_longer(string.sub(ARGV[2], 1, 16))
  redis.call('HSET', record, 'alone', last .. ' ' .. kept .. ' ' .. id .. ' ' .. clock .. ' ' .. ARGV[2])
  if longer then
    keep(record)
  end
  return 'held ' .. last
end
