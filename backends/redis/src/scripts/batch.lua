
-- Does what many ask at one moment, as if each had asked alone: its answer, or its error, each.
-- KEYS: three of each. ARGV: of each its verb, and the three arguments that verbs have.

-- A server that is full refuses new claims, but not to a script that has begun to write: the first
-- of these would let all others in. This writes nothing, but is refused where that may be.
if type(redis.pcall('ZADD', KEYS[3], 'XX', 0, '')) == 'table' then
  return false
end

local verbs = { enter = enter, renew = renew, leave = leave }
local answers = {}
for number = 1, #KEYS / 3 do
  local key, argument = 3 * number, 4 * number
  local keys = { KEYS[key - 2], KEYS[key - 1], KEYS[key] }
  local arguments = { ARGV[argument - 2], ARGV[argument - 1], ARGV[argument] }
  local is_done, answer = pcall(verbs[ARGV[argument - 3]], keys, arguments)
  if not is_done and type(answer) ~= 'table' then
    answer = { err = 'ERR ' .. answer }
  end
  answers[number] = answer
end
return answers
