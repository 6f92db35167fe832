-- Leaves, holding or waiting. Says where it stood until now.
-- ARGV: id, whether a request of this id may still be on its way

-- How long a request may be on its way, at most.
local LATE = 2 * 60 * 1000000

drop_expired()
local stood = place()
drop(id)
entry = false
if ARGV[2] == '1' then
  -- What comes late finds that it has left.
  local still = { id .. ':' .. string.format('%.0f', now + LATE) }
  for who, ends_at in string.gmatch(left, '(%x+):(%d+)') do
    if tonumber(ends_at) > now and who ~= id then
      still[#still + 1] = who .. ':' .. ends_at
    end
  end
  redis.call('HSET', record, 'left', table.concat(still, ' '))
  keep_record(LATE)
end
grant()
return answer(stood)
