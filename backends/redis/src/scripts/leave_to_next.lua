
-- Nor where one who lets nobody in makes way for another, and nothing is due.
if many and ARGV[2] == '0' and last < clock and sub(head, 37, 52) - now > 0 then
  local waiting = string.match(head, '^exclusive 1 (%d+) $', 54)
  local mine = waiting and redis.call('HGET', record, id)
  if mine and sub(mine, 1, 16) ~= NONE then
    local next_id = redis.call('ZRANGE', line, 0, 0)[1]
    local its = next_id and redis.call('HGET', record, next_id) or ''
    local arrival, channel = string.match(its, '^' .. NONE .. ' (%d+) %d+ exclusive (%S+)')
    if arrival and redis.call('ZREM', ends, id) == 1 then
      redis.call('ZREM', line, next_id)
      redis.call('HDEL', record, id)
      head = clock .. sub(head, 17, 52) .. ' exclusive 1 ' .. waiting - 1 .. ' '
      redis.call('HSET', record, 'head', head, next_id, clock .. sub(its, 17))
      redis.pcall('PUBLISH', channel, next_id .. ' ' .. arrival .. ' ' .. clock)
      return 'held ' .. sub(mine, 1, 16)
    end
  end
end
