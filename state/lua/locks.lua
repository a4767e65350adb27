-- Reads every lock that is held now, in all environments. Returns their records.
local index = KEYS[1]
local now = clock()

local found = {}
for _, locks in ipairs(redis.call('SMEMBERS', index)) do
  for _, lock in ipairs(overlapping(locks, '*', now)) do
    found[#found + 1] = lock.text
  end
end
return found
