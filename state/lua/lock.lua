-- A person's lock. Whoever has it already keeps its fence, and its reason and end are replaced; whoever
-- has it because it is their turn gets a lock of their own instead.
-- Returns ok FENCE | locked RECORD.
local locks, fences, index = KEYS[1], KEYS[2], KEYS[3]
local place, holder, document, lasts = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local owner = ARGV[5]
local line = line_of(4, locks, fences, index)
local now = clock()

settle(line, now)
local held = blocking(locks, place, now)
local again = held and held.place == place and held.holder == holder
if held and held.place == place and held.holder == owner then
  end_turn(line, held, 'locked', now)
elseif held and not again then
  return {'locked', held.text}
end
local fence = again and held.fence or next_fence(fences, now)
grant(index, locks, place, record(fence, until_end(now, lasts), holder, document), now)
return {'ok', fence}
