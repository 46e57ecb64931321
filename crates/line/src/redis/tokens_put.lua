-- Puts copies of tokens into one small hash, except where a later one is there. A copy begins with the moment it is of.
-- KEYS[1] the hash; ARGV[1] how long to keep it, in milliseconds, then fields and copies in turn, of 128 tokens at most
if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HSET', KEYS[1], unpack(ARGV, 2))
else
    for at = 2, #ARGV, 2 do
        local old = redis.call('HGET', KEYS[1], ARGV[at])
        if not old or struct.unpack('>i8', old) <= struct.unpack('>i8', ARGV[at + 1]) then
            redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
        end
    end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 0
