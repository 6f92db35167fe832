-- Who stands, by expiry: the time, then id, expiry and what is known of each.

local record, ends = KEYS[1], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = { now }
local standing = redis.call('ZRANGE', ends, 0, -1, 'WITHSCORES')
for at = 1, #standing, 2 do
  local entry = redis.call('HGET', record, standing[at])
  local expires = tonumber(standing[at + 1])
  if entry and expires > now then
    state[#state + 1] = { expires, entry }
  end
end
return state
