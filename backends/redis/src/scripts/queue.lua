
-- From here on, where there are many, or will be.

local standing, waiting = 0, 0
local expired, granted = {}, {}
if not alone then
  standing, waiting = redis.call('ZCARD', ends), redis.call('ZCARD', line)
  expired = redis.call('ZRANGEBYSCORE', ends, '-inf', now)
elseif holder then
  standing, mode = 1, string.match(alone, '%S+', 102)
end

-- Makes the one that stands alone one of many.
local function join_the_many()
  if redis.call('ZCARD', ends) + redis.call('ZCARD', line) > 0 then
    redis.call('DEL', ends, line) -- What remains of a record that was evicted, or deleted by hand.
  end
  redis.call('HSET', record, 'last', last, 'kept', kept)
  if holder then
    local request = string.sub(alone, 85)
    local its = last .. ' ' .. last .. ' ' .. request
    redis.call('HSET', record, 'mode', mode, holder, its)
    redis.call('ZADD', ends, string.sub(alone, 68, 83) + string.sub(request, 1, 16), holder)
    keep(ends)
    if holder == id then
      entry = its
    end
  end
  redis.call('HDEL', record, 'alone')
  alone = false
end

local function limit_of(wanted)
  return tonumber(string.match(wanted, '^permit:(%d+)$'))
end

-- Whether one who comes next after all who hold may hold as well.
local function may_join(wanted)
  local holding = standing - waiting
  if holding == 0 then
    return true
  end
  local limit = limit_of(wanted)
  if limit then
    return holding < limit
  end
  return wanted == 'shared' and mode == 'shared'
end

local function mixes(wanted)
  if limit_of(wanted) or limit_of(mode) then
    return wanted == mode
  end
  return true
end

local function is_waiting()
  return string.sub(entry, 1, 16) == NONE
end

-- Says whether it stood.
local function drop(gone)
  redis.call('HDEL', record, gone)
  if waiting > 0 then
    waiting = waiting - redis.call('ZREM', line, gone)
  end
  local stood = redis.call('ZREM', ends, gone)
  standing = standing - stood
  if gone == id then
    entry = false
  end
  return stood == 1
end

-- Grants the name to those whose turn it is.
local function grant()
  while waiting > 0 do
    local next_id = redis.call('ZRANGE', line, 0, 0)[1]
    local its = redis.call('HGET', record, next_id) or ''
    local arrival, wants, channel = string.match(its, '^' .. NONE .. ' (%d+) %d+ (%S+) (%S+)')
    if not wants then
      drop(next_id) -- Its part of the record was deleted by hand.
    elseif not may_join(wants) then
      return
    else
      take_number()
      mode, waiting = wants, waiting - 1
      its = last .. string.sub(its, 17)
      redis.call('ZREM', line, next_id)
      redis.call('HSET', record, 'last', last, 'mode', mode, next_id, its)
      if next_id == id then
        entry = its
      else
        granted[#granted + 1] = { channel, next_id .. ' ' .. arrival .. ' ' .. last }
      end
    end
  end
end

local function drop_expired()
  for _, gone in ipairs(expired) do
    drop(gone)
  end
  grant()
end

-- What was evicted, or deleted by hand, in part is as good as gone.
local function drop_what_is_torn()
  if entry and not redis.call('ZSCORE', is_waiting() and line or ends, id) then
    drop(id)
  end
end

local function refresh()
  insist()
  local ttl = string.match(entry, '^%d+ %d+ (%d+)')
  redis.call('ZADD', ends, now + ttl, id)
  if keeps_longer(ttl) then
    redis.call('HSET', record, 'kept', kept)
    keep(record)
    keep(ends)
    keep(line)
  end
end

-- Until when the first of those before this one stands. Some who stand behind may end sooner: then
-- it looks early, which does no harm.
local function first_end_before(arrival)
  local soonest = redis.call('ZRANGE', ends, 0, 7, 'WITHSCORES')
  for at = 1, #soonest, 2 do
    local stands = redis.call('ZSCORE', line, soonest[at])
    if not stands or tonumber(stands) < arrival then
      return tonumber(soonest[at + 1])
    end
  end
  return tonumber(soonest[#soonest])
end

-- Where this one stands.
local function place()
  if not entry then
    return 'absent'
  end
  if not is_waiting() then
    return 'held ' .. string.sub(entry, 1, 16)
  end
  local arrival = string.sub(entry, 18, 33)
  return 'waiting ' .. arrival .. ' ' .. digits(math.max(0, first_end_before(tonumber(arrival)) - now))
end

-- Tells those who were granted the name, which may be refused: they will look by themselves.
local function answer(reply)
  for _, told in ipairs(granted) do
    redis.pcall('PUBLISH', told[1], told[2])
  end
  return reply
end
