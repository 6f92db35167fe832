
-- Leaves, holding or waiting. Says whether it held until now.
-- ARGV: id, whether a request of this id may still be on its way

-- How long a request may be on its way, at most.
local LATE = 2 * 60 * 1000000

insist()
if not many then
  join_the_many()
end
local stood = 'absent'
if entry then
  local was = is_waiting() and stood or place()
  if drop() then
    stood = was
  else
    count()
  end
end

-- What comes late finds that it has left.
local still = {}
if ARGV[2] == '1' then
  still[1] = id .. ':' .. digits(now + LATE)
end
for who, ends_at in string.gmatch(left, '(%x+):(%d+)') do
  if tonumber(ends_at) > now and who ~= id then
    still[#still + 1] = who .. ':' .. ends_at
  end
end
left = table.concat(still, ' ')
grant()
if holding + waiting == 0 and left == '' then
  redis.call('DEL', record)
  redis.call('HSET', record, 'head', last .. ' ' .. kept)
  keep(record)
  many = false
end
return answer(stood)
