-- Gives up a line, if it is the asker who leads it.
-- KEYS[1] who leads; ARGV[1] who asks
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
