
-- Takes the place at the end, or refreshes the place that this id has. One that does not wait stays
-- only if that grants it the name.
-- ARGV: id, request, whether it waits

local ttl, wanted = string.match(ARGV[2], '^(%d+) (%S+)')
local waits = ARGV[3] == '1'

drop_expired()
if standing > 0 and mode and not mixes(wanted) then
  return answer('conflict ' .. mode)
end
if left and string.find(left, id, 1, true) then
  return answer('absent')
end

drop_what_is_torn()
if entry then
  if waits or not is_waiting() then
    refresh()
  else
    drop(id)
    grant()
  end
  return answer(place())
end

local holds = waiting == 0 and may_join(wanted)
if not holds and not waits then
  return answer('absent')
end
if alone then
  join_the_many()
end
take_number()
local longer = keeps_longer(ttl)
entry = (holds and last or NONE) .. ' ' .. last .. ' ' .. ARGV[2]
redis.call('HSET', record, 'last', last, 'kept', kept, id, entry)
if holds then
  redis.call('HSET', record, 'mode', wanted)
else
  redis.call('ZADD', line, last, id)
end
redis.call('ZADD', ends, now + ttl, id)
if longer then
  keep(record)
end
if longer or standing == 0 then
  keep(ends)
end
if longer or (waiting == 0 and not holds) then
  keep(line)
end
return answer(place())
