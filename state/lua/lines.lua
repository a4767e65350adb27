-- Reads who is in line, in all environments: pairs of ticket and document.
local lines = KEYS[1]
local found = {}
for _, queue in ipairs(redis.call('HKEYS', lines)) do
  for _, wish in ipairs(waiting(queue)) do
    found[#found + 1] = int(wish.ticket)
    found[#found + 1] = wish.document
  end
end
return found
