-- Takes the place at the end, or refreshes the place that this id has. One that does not wait stays
-- only if that grants it the name.
-- ARGV: id, ttl, mode, whether it waits, channel, details

local ttl, wanted, waits = tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'

drop_expired()
if standing > 0 and mode and not mixes(wanted) then
  return answer({ 'conflict', mode })
end
if string.find(left, id, 1, true) then
  return answer({ 'absent' })
end

if entry then
  if waits or not is_waiting() then
    refresh(ttl)
  else
    drop(id)
    entry = false
    grant()
  end
  return answer(place())
end

local holds = waiting == 0 and may_join(wanted)
if not holds and not waits then
  return answer({ 'absent' })
end
local arrival = next_number()
entry = (holds and arrival or '0') .. ' ' .. table.concat({ wanted, arrival, ARGV[5], ARGV[6] }, ' ')
if holds then
  redis.call('HSET', record, 'last', arrival, 'mode', wanted, id, entry)
else
  redis.call('HSET', record, 'last', arrival, id, entry)
  redis.call('ZADD', line, arrival, id)
  waiting = waiting + 1
end
redis.call('ZADD', ends, now + ttl, id)
keep_all(ttl)
return answer(place())
