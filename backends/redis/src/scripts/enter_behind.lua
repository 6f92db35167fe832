
-- Nor where one joins the line behind a holder who lets nobody in, and nothing is due.
if many and ARGV[3] == '1' and last < clock and sub(ARGV[2], 18, 27) == 'exclusive ' then
  local waiting = string.match(head, '^exclusive 1 (%d+) $', 54)
  local ttl, look = tonumber(sub(ARGV[2], 1, 16)), sub(head, 37, 52) - now
  if waiting and ttl / 3 <= look and look <= ttl and kept - now >= ttl + DAY
      and redis.call('ZADD', ends, 'NX', string.format('%.0f', now + ttl), id) == 1 then
    redis.call('ZADD', line, clock, id)
    if waiting == '0' then
      redis.call('PEXPIRE', line, math.ceil((kept - now) / 1000))
    end
    head = clock .. sub(head, 17, 52) .. ' exclusive 1 ' .. waiting + 1 .. ' '
    redis.call('HSET', record, 'head', head, id, NONE .. ' ' .. clock .. ' ' .. ARGV[2])
    return 'waiting ' .. clock .. ' ' .. look
  end
end
