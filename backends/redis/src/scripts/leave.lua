
-- Leaves, holding or waiting. Says whether it held until now.
-- ARGV: id, whether a request of this id may still be on its way

-- How long a request may be on its way, at most.
local LATE = 2 * 60 * 1000000

insist()
if alone then
  join_the_many()
end
drop_expired()
local stood = entry and not is_waiting() and place() or 'absent'
if not drop(id) then
  stood = 'absent'
end

-- What comes late finds that it has left.
local still = {}
if ARGV[2] == '1' then
  still[1] = id .. ':' .. digits(now + LATE)
end
for who, ends_at in string.gmatch(left or '', '(%x+):(%d+)') do
  if tonumber(ends_at) > now and who ~= id then
    still[#still + 1] = who .. ':' .. ends_at
  end
end
if #still > 0 then
  redis.call('HSET', record, 'left', table.concat(still, ' '))
end
grant()
if standing == 0 and #still == 0 then
  redis.call('DEL', record)
  redis.call('HSET', record, 'alone', last .. ' ' .. kept)
  keep(record)
end
return answer(stood)
