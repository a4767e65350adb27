-- Notes that a card may show something older than it should, and makes it due. Returns ok.
local card, cards, rollout = KEYS[1], KEYS[2], KEYS[3]
local id = ARGV[1]

if redis.call('EXISTS', rollout) == 1 then
  redis.call('HSET', card, 'doubt', '1')
  stale(cards, id, clock())
end
return {'ok'}
