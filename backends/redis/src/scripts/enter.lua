
-- Takes the place at the end, or refreshes the place that this id has. One that does not wait stays
-- only if that grants it the name.
-- ARGV: id, request, whether it waits

local ttl, wanted = string.match(ARGV[2], '^(%d+) (%S+)')
local waits = ARGV[3] == '1'

grant()
if holding + waiting > 0 and wanted ~= mode and string.find(wanted .. mode, 'permit', 1, true) then
  return answer('conflict ' .. mode)
end
if left ~= '' and string.find(left, id, 1, true) then
  return answer('absent')
end

drop_what_is_torn()
if entry then
  if waits or not is_waiting() then
    refresh()
    grant()
  else
    drop()
    grant()
  end
  return answer(place())
end

local holds = waiting == 0 and may_join(wanted)
if not holds and not waits then
  return answer('absent')
end
if not many then
  join_the_many()
end
take_number()
redis.call('ZADD', ends, digits(now + ttl), id)
if not holds then
  redis.call('ZADD', line, last, id)
end
entry = (holds and last or NONE) .. ' ' .. last .. ' ' .. ARGV[2]
redis.call('HSET', record, id, entry)
if holding + waiting == 0 then
  keep(ends)
end
if holds then
  mode, holding = wanted, holding + 1
else
  waiting = waiting + 1
  if waiting == 1 then
    keep(line)
  end
end
soonest = math.min(soonest, now + ttl)
keep_for(ttl)
return answer(place())
