
-- Extends a hold by its TTL. One that waits is left as it is.
-- ARGV: id

grant()
drop_what_is_torn()
if entry and not is_waiting() then
  refresh()
end
return answer(place())
