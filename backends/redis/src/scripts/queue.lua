
-- From here on, where there are many, or will be.

local FAR = 9007199254740991
local holding, waiting, soonest, mode, left, entry = 0, 0, FAR, '-', '', false
local granted = {}

if many then
  soonest, mode, holding, waiting, left = string.match(head, '^(%d+) (%S+) (%d+) (%d+) (.*)', 37)
  soonest, holding, waiting = tonumber(soonest), tonumber(holding), tonumber(waiting)
  entry = redis.call('HGET', record, id)
elseif holder then
  holding, soonest, mode = 1, sub(head, 68, 83) + sub(head, 85, 100), string.match(head, '%S+', 102)
end

local function digits(number)
  return string.format('%016.0f', number)
end

local function take_number()
  local number = tonumber(last)
  if not number or number >= FAR then
    error('the numbers of this name are used up or damaged')
  end
  last = number < now and clock or digits(number + 1)
end

local function keep(key)
  redis.call('PEXPIRE', key, math.ceil((kept - now) / 1000))
end

-- Has the keys kept for as long as this TTL takes: a day more than any entry may stand. The hour
-- spares this most of the times.
local function keep_for(ttl)
  if kept - now < ttl + DAY then
    kept = digits(now + ttl + DAY + HOUR)
    keep(record)
    keep(ends)
    keep(line)
  end
end

-- A server that is full refuses what would need memory, but to a script that has begun to write.
local function insist()
  redis.call('HDEL', record, '')
end

-- Makes the one that stands alone one of many.
local function join_the_many()
  if redis.call('ZCARD', ends) + redis.call('ZCARD', line) > 0 then
    redis.call('DEL', ends, line) -- What remains of a record that was evicted, or deleted by hand.
  end
  if holder then
    local its = last .. ' ' .. last .. ' ' .. sub(head, 85)
    redis.call('ZADD', ends, digits(soonest), holder)
    keep(ends)
    redis.call('HSET', record, holder, its)
    if holder == id then
      entry = its
    end
  end
  many = true
end

local function is_waiting()
  return sub(entry, 1, 16) == NONE
end

-- Whether one who comes next after all who hold may hold as well.
local function may_join(wanted)
  if holding == 0 then
    return true
  end
  if wanted == 'shared' then
    return mode == 'shared'
  end
  local limit = string.match(wanted, '^permit:(%d+)$')
  return limit and holding < tonumber(limit)
end

-- Grants the name to those whose turn it is.
local function grant()
  while waiting > 0 and (holding == 0 or mode ~= 'exclusive') do
    local next_id = redis.call('ZRANGE', line, 0, 0)[1]
    if not next_id then
      waiting = 0 -- The line was evicted, or deleted by hand.
      return
    end
    local its = redis.call('HGET', record, next_id) or ''
    local arrival, wants, channel = string.match(its, '^' .. NONE .. ' (%d+) %d+ (%S+) (%S+)')
    if wants and not may_join(wants) then
      return
    end
    waiting = waiting - redis.call('ZREM', line, next_id)
    if wants then
      take_number()
      mode, holding = wants, holding + 1
      its = last .. sub(its, 17)
      redis.call('HSET', record, next_id, its)
      if next_id == id then
        entry = its
      else
        granted[#granted + 1] = { channel, next_id .. ' ' .. arrival .. ' ' .. last }
      end
    else
      redis.call('ZREM', ends, next_id) -- Its part of the record was deleted by hand.
    end
  end
end

-- Drops who has expired, and counts anew who stands.
local function count()
  for _, gone in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now)) do
    redis.call('HDEL', record, gone)
    redis.call('ZREM', line, gone)
    redis.call('ZREM', ends, gone)
    if gone == id then
      entry = false
    end
  end
  waiting = redis.call('ZCARD', line)
  holding = redis.call('ZCARD', ends) - waiting
  if holding < 0 then
    -- What was evicted, or deleted by hand, is as good as gone.
    redis.call('DEL', line)
    holding, waiting = holding + waiting, 0
  end
  soonest = tonumber(redis.call('ZRANGE', ends, 0, 0, 'WITHSCORES')[2] or FAR)
end

-- Takes out the one that asks. Says whether it stood.
local function drop()
  redis.call('HDEL', record, id)
  local stood = redis.call('ZREM', ends, id) == 1
  if is_waiting() then
    waiting = waiting - redis.call('ZREM', line, id)
  elseif stood then
    holding = holding - 1
  end
  entry = false
  return stood
end

-- What was evicted, or deleted by hand, in part is as good as gone.
local function drop_what_is_torn()
  if entry and not redis.call('ZSCORE', is_waiting() and line or ends, id) then
    drop()
    count()
    grant()
  end
end

local function refresh()
  insist()
  local ttl = string.match(entry, '^%d+ %d+ (%d+)')
  redis.call('ZADD', ends, digits(now + ttl), id)
  keep_for(ttl)
  count()
end

-- Until when the first of those before this one stands. Some who stand behind may end sooner: then
-- it looks early, which does no harm.
local function first_end_before(arrival)
  local first = redis.call('ZRANGE', ends, 0, 7, 'WITHSCORES')
  for at = 1, #first, 2 do
    local stands = redis.call('ZSCORE', line, first[at])
    if not stands or tonumber(stands) < arrival then
      return tonumber(first[at + 1])
    end
  end
  return tonumber(first[#first])
end

-- Where this one stands.
local function place()
  if not entry then
    return 'absent'
  end
  if not is_waiting() then
    return 'held ' .. sub(entry, 1, 16)
  end
  local arrival, ttl = string.match(entry, '(%d+) (%d+)', 18)
  local look = soonest
  -- Until the place is to be refreshed, nothing more exact is needed.
  if look - now < ttl / 3 then
    look = first_end_before(tonumber(arrival))
  end
  return 'waiting ' .. arrival .. ' ' .. digits(math.max(0, look - now))
end

-- Writes down what has changed, and tells those who were granted the name, which may be refused:
-- they will look by themselves.
local function answer(reply)
  if many then
    local form = '%s %s * %016.0f %s %d %d %s'
    local new = string.format(form, last, kept, soonest, mode, holding, waiting, left)
    if new ~= head then
      redis.call('HSET', record, 'head', new)
    end
  end
  for _, told in ipairs(granted) do
    redis.pcall('PUBLISH', told[1], told[2])
  end
  return reply
end

if many and now >= soonest then
  count()
end
