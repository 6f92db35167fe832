-- Who stands: the time, then expiry and entry of each.

local record, ends = KEYS[1], KEYS[3]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = { now }

local function show(expires, entry)
  if entry and expires > now then
    state[#state + 1] = { expires, entry }
  end
end

local head = redis.call('HGET', record, 'head') or ''
if string.sub(head, 35, 35) ~= '*' then
  if #head > 33 then
    local number, request = string.sub(head, 1, 16), string.sub(head, 85)
    local expires = string.sub(head, 68, 83) + string.sub(request, 1, 16)
    show(expires, number .. ' ' .. number .. ' ' .. request)
  end
  return state
end
local standing = redis.call('ZRANGE', ends, 0, -1, 'WITHSCORES')
for at = 1, #standing, 2 do
  show(tonumber(standing[at + 1]), redis.call('HGET', record, standing[at]))
end
return state
