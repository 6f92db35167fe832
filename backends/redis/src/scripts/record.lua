-- One name's queue: what all verbs begin with. They do as `LockQueue` of distlock-core says.
--
-- record  hash. Its `head` is "last kept": the greatest number given, and until when all keys are
--         kept at least. While one stands alone, and holds, "id since request" is behind that; the
--         grant is then the last one. While there are many, it is "* soonest mode holding waiting
--         left": before when none of them expires; the mode of those who hold; how many hold and
--         wait; who must not come back. Then there is also, under the id of each that stands,
--         "number arrival request", the number being 0 while it waits.
-- line    sorted set: those who wait, by arrival
-- ends    sorted set: all who stand, by expiry; both only where there are many
--
-- A request is "ttl mode channel details". Arrivals and grants are numbered from one counter, which
-- is never behind the clock. Times are microseconds of the server's clock. All these numbers have
-- 16 digits, but for how many there are.
--
-- A server spends more on the functions that a script makes, and on each call of a command, than on
-- the commands. So what is done most often makes none, and is first.

local record, line, ends = KEYS[1], KEYS[2], KEYS[3]
local id = ARGV[1]

local head = redis.call('HGET', record, 'head') or NONE .. ' ' .. NONE
local last, kept = sub(head, 1, 16), sub(head, 18, 33)
local many, holder = false, false
if #head > 33 then
  many = sub(head, 35, 35) == '*'
  if not many and sub(head, 68, 83) + sub(head, 85, 100) > now then
    holder = sub(head, 35, 66)
  end
end

