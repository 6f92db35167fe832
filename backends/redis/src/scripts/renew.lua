-- Extends a hold by its TTL. One that waits is left as it is.
-- ARGV: id, ttl

drop_expired()
if entry and not is_waiting() then
  refresh(tonumber(ARGV[2]))
end
return answer(place())
