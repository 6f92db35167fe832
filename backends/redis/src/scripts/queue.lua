-- One name's queue: what all verbs share. It does as `LockQueue` of distlock-core says.
--
-- record  hash: `last`, the greatest number given; `mode` of those who hold; `left`, who must not
--         come back; and what is known of each claim that stands, under its id:
--         "number mode arrival channel details", the number being 0 while it waits
-- line    sorted set: those who wait, by arrival
-- ends    sorted set: all who stand, by expiry
--
-- Those who hold are all of one mode. Arrivals and grants are numbered from one counter, which is
-- never behind the clock. Times are microseconds of the server's clock.
--
-- What is to be written is read before, so that a key of another type changes nothing. Where a server that is full must not refuse, the first write is one that it never
-- refuses; then it lets the script finish.

local record, line, ends = KEYS[1], KEYS[2], KEYS[3]
local id = ARGV[1]

local HOUR = 60 * 60 * 1000
local DAY = 24 * HOUR
local GREATEST = 9007199254740991

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known = redis.call('HMGET', record, 'last', 'mode', 'left', id)
local last, mode, left, entry = tonumber(known[1] or 0), known[2], known[3] or '', known[4]
local first = redis.call('ZRANGE', ends, 0, 1, 'WITHSCORES')
local standing, waiting = #first / 2, 0
local holds_alone = standing == 1 and first[1] == id and entry and string.sub(entry, 1, 2) ~= '0 '
-- Most names are held by this one, or by nobody; then there is nothing to count.
if standing > 0 and not holds_alone then
  waiting = redis.call('ZCARD', line)
  standing = redis.call('ZCARD', ends)
end
local expired = {}
if first[2] and tonumber(first[2]) <= now then
  expired = redis.call('ZRANGEBYSCORE', ends, '-inf', now)
end
local granted = {}

local function next_number()
  last = last and math.max(last + 1, now)
  if not last or last > GREATEST then
    error('the numbers of this name are used up or damaged')
  end
  return string.format('%.0f', last)
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
  if not mode then
    return false -- The record was evicted, or deleted by hand.
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

local function drop(gone)
  redis.call('HDEL', record, gone)
  if waiting > 0 then
    waiting = waiting - redis.call('ZREM', line, gone)
  end
  standing = standing - redis.call('ZREM', ends, gone)
end

-- Grants the name to those whose turn it is.
local function grant()
  while waiting > 0 do
    local next_id = redis.call('ZRANGE', line, 0, 0)[1]
    local its = redis.call('HGET', record, next_id) or ''
    local wants, arrival, channel = string.match(its, '^0 (%S+) (%S+) (%S+)')
    if not wants then
      drop(next_id) -- Its part of the record was evicted.
    elseif not may_join(wants) then
      return
    else
      local number = next_number()
      redis.call('ZREM', line, next_id)
      mode, waiting = wants, waiting - 1
      its = number .. string.sub(its, 2)
      redis.call('HSET', record, 'last', number, 'mode', mode, next_id, its)
      if next_id == id then
        entry = its
      else
        granted[#granted + 1] = { channel, next_id .. ' ' .. arrival .. ' ' .. number }
      end
    end
  end
end

local function drop_expired()
  for _, gone in ipairs(expired) do
    drop(gone)
    if gone == id then
      entry = false
    end
  end
  grant()
end

-- Every key is kept for a day longer than any entry may stand.
local function needed(ttl)
  return math.ceil(ttl / 1000) + DAY
end

-- Never for less than it is kept now.
local function keep(key, ttl)
  redis.call('PEXPIRE', key, math.max(needed(ttl), redis.call('PTTL', key)))
end

local function keep_record(ttl)
  if redis.call('PTTL', record) < needed(ttl) then
    redis.call('PEXPIRE', record, needed(ttl) + HOUR)
  end
end

local function keep_all(ttl)
  if standing == 0 then
    redis.call('PEXPIRE', ends, needed(ttl))
  else
    keep(ends, ttl)
  end
  keep_record(ttl)
  if waiting > 0 then
    keep(line, ttl)
  end
end

local function refresh(ttl)
  keep_all(ttl)
  redis.call('ZADD', ends, now + ttl, id)
end

local function is_waiting()
  return string.sub(entry, 1, 2) == '0 '
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
    return { 'absent' }
  end
  local number, arrival = string.match(entry, '^(%d+) %S+ (%d+)')
  if not is_waiting() then
    return { 'held', tonumber(number) }
  end
  arrival = tonumber(arrival)
  return { 'waiting', arrival, math.max(0, first_end_before(arrival) - now) }
end

-- Tells those who were granted the name, which may be refused: they will look by themselves.
local function answer(reply)
  for _, told in ipairs(granted) do
    redis.pcall('PUBLISH', told[1], told[2])
  end
  return reply
end

-- What was evicted, or deleted by hand, in part is as good as gone.
if entry and not holds_alone and not redis.call('ZSCORE', is_waiting() and line or ends, id) then
  drop(id)
  entry = false
end
