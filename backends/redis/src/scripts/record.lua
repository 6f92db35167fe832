-- One name's queue: what all verbs begin with. They do as `LockQueue` of distlock-core says.
--
-- record  hash. While at most one stands, and holds, there is only `alone`: "last kept", and if one
--         does, "id since request" behind that; the grant is then the last one. Otherwise there are
--         `last`, the greatest number given; `kept`, until when all keys are kept at least; `mode`
--         of those who hold; `left`, who must not come back; and under the id of each that stands
--         "number arrival request", the number being 0 while it waits.
-- line    sorted set: those who wait, by arrival
-- ends    sorted set: all who stand, by expiry; both only where there is no `alone`
--
-- A request is "ttl mode channel details". Arrivals and grants are numbered from one counter, which
-- is never behind the clock. Times are microseconds of the server's clock. All these numbers have
-- 16 digits.
--
-- What is to be written is read before, so that a key of another type changes nothing.

local record, line, ends = KEYS[1], KEYS[2], KEYS[3]
local id = ARGV[1]

local HOUR = 60 * 60 * 1000000
local DAY = 24 * HOUR
local GREATEST = 9007199254740991
local NONE = '0000000000000000'

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local clock = time[1] .. string.sub('00000' .. time[2], -6)

local alone = redis.call('HGET', record, 'alone')
local last, kept, left, mode, entry
if not alone then
  local known = redis.call('HMGET', record, 'last', 'kept', 'left', 'mode', id)
  last, kept, left, mode, entry = known[1], known[2], known[3], known[4], known[5]
  alone = not last and NONE .. ' ' .. NONE
end
local holder
if alone then
  last, kept = string.sub(alone, 1, 16), string.sub(alone, 18, 33)
  if #alone > 33 and string.sub(alone, 68, 83) + string.sub(alone, 85, 100) > now then
    holder = string.sub(alone, 35, 66)
  end
end

local function digits(number)
  return string.format('%016.0f', number)
end

local function take_number()
  local number = tonumber(last)
  if not number or number >= GREATEST then
    error('the numbers of this name are used up or damaged')
  end
  last = number < now and clock or digits(number + 1)
end

-- Whether the keys are to be kept for longer: a day more than any entry may stand. The hour spares
-- this most of the times.
local function keeps_longer(ttl)
  local longer = kept - now < ttl + DAY
  if longer then
    kept = digits(now + ttl + DAY + HOUR)
  end
  return longer
end

local function keep(key)
  redis.call('PEXPIRE', key, math.ceil((kept - now) / 1000))
end

-- A server that is full refuses what would need memory, but to a script that has begun to write.
local function insist()
  redis.call('HDEL', record, '')
end
